set -e
cd /work/wt/mega; mkdir -p build/o
F="-std=c++20 -O3 -gencode=arch=compute_90a,code=sm_90a --expt-relaxed-constexpr -DFMT_USE_CONSTEXPR=1 -Isrc -I."
for f in src/kernels/cuda/memory.cu src/kernels/cuda/pack_weights.cu src/kernels/cuda/devices.cu src/kernels/cuda/decode_step.cu tests/kernels/cuda/decode_step_test.cu bench/kernels/cuda/decode_step_bench.cu; do
  o=build/o/$(basename $f).o; if [ ! -e $o ] || [ -n "$(find src/kernels/cuda $f -newer $o -name '*.cu*' | head -1)" ]; then nvcc $F -c $f -o $o & fi
  while [ $(jobs -r | wc -l) -ge 2 ]; do sleep 0.2; done
done; wait
for f in src/tensor/*.cc src/base/*.cc; do [ -e $f ] || continue; o=build/o/$(basename $f).o; [ -e $o ] || g++ -std=c++20 -O2 -Isrc -c $f -o $o; done
L="build/o/memory.cu.o build/o/pack_weights.cu.o build/o/devices.cu.o build/o/decode_step.cu.o $(ls build/o/*.cc.o)"
nvcc -std=c++20 -gencode=arch=compute_90a,code=sm_90a $L build/o/decode_step_test.cu.o -o build/decode_step_test -lgtest -lgtest_main -lfmt -lpthread
nvcc -std=c++20 -gencode=arch=compute_90a,code=sm_90a $L build/o/decode_step_bench.cu.o -o build/decode_step_bench -lfmt -lpthread
