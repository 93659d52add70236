// What the programs of this folder share: numbers, /proc, event streams.
import {readFileSync} from 'node:fs';
import {Agent, request} from 'node:http';

/** Keeps connections open, as clients do. */
export const agent = new Agent({keepAlive: true, maxSockets: Infinity});

export const round = (value, digits = 1) => Number(value.toFixed(digits));

/** Memory of a process that is in RAM, in MiB. */
export function residentMiB(pid) {
  const match = readFileSync(`/proc/${pid}/status`, 'utf8').match(/^VmRSS:\s+(\d+) kB/m);
  return match ? Number(match[1]) / 1024 : null;
}

/** Seconds of processor time that a process has taken, in its own code and in the kernel. Clock ticks are 1/100 s on Linux. */
export function processorSeconds(pid) {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return {program: Number(fields[11]) / 100, kernel: Number(fields[12]) / 100};
}

export const seconds = () => performance.now() / 1000;
export const sleep = time => new Promise(resolve => setTimeout(resolve, time * 1000));

/** Posts JSON. `onData` gets each chunk of the answer as text; the promise gives the status once the answer is over. */
export function post(url, path, body, {onData = () => {}, headers = {}} = {}) {
  return new Promise((resolve, reject) => {
    const text = JSON.stringify(body);
    const options = {
      method: 'POST', agent,
      headers: {'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...headers},
    };
    const sent = request(url + path, options, response => {
      response.setEncoding('utf8');
      response.on('data', onData);
      response.on('error', reject);
      response.on('end', () => resolve(response.statusCode));
    });
    sent.on('error', reject);
    sent.end(text);
  });
}

/** Calls `onEvent` with the data of each event of a stream that comes in chunks. */
export function eventReader(onEvent) {
  let rest = '';
  return chunk => {
    rest += chunk;
    let end;
    while ((end = rest.indexOf('\n\n')) >= 0) {
      const line = rest.slice(0, end).split('\n').find(part => part.startsWith('data: '));
      rest = rest.slice(end + 2);
      if (line && line !== 'data: [DONE]') onEvent(JSON.parse(line.slice(6)));
    }
  };
}

/** Two columns. */
export function table(rows) {
  const width = 2 + Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => name.padEnd(width) + value).join('\n');
}
