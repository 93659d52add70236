"""Word problems of one or two steps."""

from __future__ import annotations

import random

from arithmetic import Term
from problems import Problem, in_words, number
from wording import Split, draw, fill

NAMES = (
    "Tom Anna Ben Mia Leo Sara Paul Nina Omar Lucy Sam Eva Max Ida Jack Rosa Ali Zoe Tim Lena Noah Emma Liam Olivia Maria "
    "Peter Laura David Julia Mark Clara Hugo Ines Ravi Priya Chen Wei Yuki Kenji Fatima Hassan Amir Leila Ivan Olga Pedro "
    "Carla Luis Marta John Mary James Linda Robert Susan Michael Karen Daniel Nancy Kevin Betty Brian Helen George Diana "
    "Felix Greta Otto Frida Karl Heidi Bruno Alice Bob Carol Dave Erin Frank Grace Henry Iris Kate Nick Rita Simon Tara Uma Vera Will"
).split()
THINGS = (
    "apples pears oranges bananas lemons plums cherries grapes peaches melons carrots potatoes tomatoes onions eggs cookies cakes "
    "sweets candies chocolates muffins sandwiches pizzas books pens pencils erasers notebooks stickers stamps cards coins marbles "
    "balls balloons toys dolls blocks bricks cars trucks bikes boats trains shells stones flowers roses tulips trees plants seeds "
    "shirts socks shoes hats gloves buttons beads rings cups plates spoons forks bottles glasses boxes bags baskets chairs tables "
    "lamps keys tickets photos letters postcards magazines puzzles games fish birds ducks hens cows sheep goats horses rabbits cats dogs "
    "nuts screws nails tiles cables batteries files songs points"
).split()
BOXES = "boxes bags baskets packets packs crates jars drawers shelves rows tables bins trays cartons chests bundles sacks piles".split()
MONEY = ("dollars", "euros", "pounds", "coins", "dollars", "euros", "$")

_HAS = "{has|had|owns|got|holds|has got|keeps|starts with|collected|is holding}"
_GETS = "{buys|gets|finds|receives|picks|picks up|is given|wins|collects|earns|gains|takes|bought|found|got|picked|received|was given|won}"
_LOSES = (
    "{eats|gives away|loses|sells|uses|drops|throws away|hands out|breaks|donates|lends out|ate|gave away|lost|sold|used|used up"
    "|gives <n2>|gave <n2>|hands <n2>|sends <n2>|sent <n2>}"
)
_NOW = "{now|in total|altogether|in all|all together|overall|then|at the end|}"
_ASK_HAVE = (
    f"{{how many <t> does {{<n>|<p>}} have {_NOW}?|how many <t> {{are there|are there now}}?|how many <t> is that {_NOW}?"
    f"|how many does {{<n>|<p>}} have {_NOW}?|what is the total?|how many are there {_NOW}?|how many <t> has {{<n>|<p>}} got {_NOW}?}}"
)
_ASK_LEFT = (
    "{how many <t> {are left|are left over|remain|does <p> have left|does <n> have left|does <p> still have|are still there}?"
    "|how many are left?|how many are left over?|what is left?|how many <t> does {<n>|<p>} have {now|left|then}?|how many remain?}"
)

ADD_STORIES = (
    "<n> {picked|found|bought|made|sold|read} <a> <t> and then <b> more. how many {<t> |}{did <p> {pick|find|get}|is that|are there}{ in total| altogether|}?",
    "<a> {birds|ducks|pigeons} {sat|sit} on {a fence|a roof|a wall|a tree}, then <b> more {landed|came|arrived}. how many {birds|} are {there|on the fence} now?#birds",
    "a {farmer|shepherd} has <a> {sheep|cows|hens|goats} and buys <b> more. how many {animals|} does {he|she} {own|have}{ now|}?#animals",
    "<n> is <a> and <n2> is <b> years older. how old is <n2>?#years",
    "my {sister|brother} is <a> and I am <b> years older. how old am I?#years",
    "I have <a> <m> and {get|earn|find|receive} <b>{ <m>|} more. how much {do I have|is that}{ now| in total|}?#m",
    "the film {lasts|is} <a> minutes and the {trailer|break} <b>. how {long|many minutes} is that{ in total| together|}?#minutes",
    "it was <a> degrees and {rose|went up} by <b>. {how warm is it now|what is the temperature now}?#degrees",
    "I {walked|ran|drove} <a> km {yesterday|in the morning} and <b> km {today|in the evening}. how {far|many km} {is that|did I go}{ in total| altogether|}?#km",
    "how many <t> are <a> <t> and <b> <t>{ together| in total|}?",
    "there are <a> {red|big|old} <t> and <b> {green|small|new} {ones|<t>}. how many {<t> |}{are there|is that}{ in total| altogether| together|}?",
    f"<n> {_HAS} <a> <t> and {_GETS} <b> {{more|others|extra|}}. {_ASK_HAVE}",
    f"<n> {_HAS} <a> <t>. {{<p>|<n>}} {_GETS} <b> {{more|others|extra|more <t>}}. {_ASK_HAVE}",
    "<n> {has|had|bought|owns|found|picked} <a> <t> and <n2> {has|had|bought|owns|found|picked} <b> {<t>|}. how many <t> {do they have|are there|is that} {together|altogether|in total|in all}?",
    "there are <a> <t> in {one|the first} {box|bag|basket|room|jar} and <b> in {the other|another|the second}. how many <t> are there {in total|altogether|in all|}?",
    "<n> {read|reads|has read} <a> pages {on Monday|yesterday|in the morning|last week} and <b> {pages|more|} {on Tuesday|today|in the evening|this week}. how many pages {did <p> read|is that|has <p> read} {in total|altogether|in all|}?#pages",
    "a {bus|train|plane|boat|tram} has <a> {passengers|people|travellers} {on board|}. <b> {more|others|} {get on|board|join}. how many {passengers|people|travellers} are {there|on board} now?#people",
    "{in a|a} class {there are|has} <a> girls and <b> boys. how many {children|pupils|students|kids} are there {in total|altogether|in all|in the class}?#children",
    "<n> {walks|walked|runs|ran|cycled|drove} <a> {km|kilometres|miles} {on Monday|in the morning|first} and {then|} <b> {km|kilometres|miles|} {on Tuesday|in the evening|more}. how {far|many kilometres} is that {in total|altogether|}?#km",
    "<n> {saves|saved|has|earned|earns} <a> <m> {in May|last month|this week|} and <b> <m> {in June|this month|next week|more}. how {many <m>|much money|much} is that {in total|altogether|}?#m",
    "a {shirt|book|lamp|toy|coat|phone} costs <a> <m> and a {hat|pen|chair|game|bag|case} costs <b> <m>. how much {do they cost|is that} {together|in total|altogether}?#m",
    "<n> is <a> years old. how old will {<p>|<n>} be in <b> years?#years",
    "<n> planted <a> {trees|flowers|seeds} {in spring|last year} and <b> {in autumn|this year|more}. how many {plants|did <p> plant|is that} {in total|altogether|in all}?#plants",
    "a {shop|store|market stall|baker} {sold|sells} <a> <t> {in the morning|on Saturday|before lunch} and <b> {in the afternoon|on Sunday|after lunch}. how many <t> {is that|did it sell|were sold} {in total|altogether|}?",
    "<n> has <a> <t>. <n2> gives {<o>|<n>} <b> {more|}. how many {<t> |}does <n> have {now|then|}?",
    "I have <a> <t> and {I|} {buy|get|find|receive|pick up} <b> {more|}. how many <t> do I have {now|in total|altogether|}?",
    "I had <a> <t>, {then|later|and} {my friend|my mother|<n>} gave me <b> {more|}. how many {<t> |}do I have {now|}?",
    "if I have <a> <t> and {you|<n>} {give|gives|hand|hands} me <b>, how many {<t> |}do I have?",
    "we are <a> people and <b> {more |}{join|arrive|come}. how many are we {now|}?#people",
    "{a farmer|<n>} has <a> {cows|hens|goats|sheep} and <b> {ducks|horses|pigs|rabbits}. how many animals {is that|are there|does <p> have}{ in total| altogether|}?#animals",
    "<n> scored <a> points in the first {game|round|half} and <b> in the second. {what was the total|how many points is that|how many points in total}?#points",
)  # fmt: skip
SUBTRACT_STORIES = (
    "<n> is <a> and <n2> is <b>. how many years apart are they?#years",
    "<n> is <a> years old, <n2> is <b>. what is {the difference in age|their age difference|the age gap}?#years",
    "my {father|mother|uncle|aunt} is <a> and {my brother|my sister|I am|my cousin is} <b>. how many years {apart are they|older is the first}?#years",
    "how much older is <n>, who is <a>, than <n2>, who is <b>?#years",
    "<n> is <a> and {his|her} {sister|brother|friend|cousin} is <b> years younger. how old is {<p>|the {sister|brother|friend|cousin}}?#years",
    "{mike|my father|<n>} is <a> years old. <n2> is <b> years younger. how old is <n2>?#years",
    "out of <a> <t>, <b> {are|were} {broken|lost|rotten|missing|bad|taken|used}. how many {<t> |}are {fine|good|left|not|whole|still there}?",
    "of <a> <t>, <b> are {broken|lost|red|rotten|sold|damaged}. how many {<t> |}are {not|left|fine|still good}?",
    "<b> of {my|the|our|his|her} <a> <t> are {broken|lost|red|rotten|sold|missing}. how many {<t> |}are {not|left|fine}?",
    "<b> out of <a> <t> are {broken|gone|red|sold}. how many {<t> |}are {not|left|still there}?",
    "I {bought|had|bake|got} <a> <t> and {broke|dropped|lost|burned|ate|threw away} <b>{ of them|}. how many {<t> |}are {still good|left|fine|not}?",
    "my {daughter|son|friend|sister|brother|mother} {had|has} <a> <t> and {gave|gives} <b> to {her|his} {brother|sister|friend|teacher}. how many {<t> |}does {she|he} have {now|left}?",
    "{she|he|<n>} {had|has} <a> <t> and {gave|gives} <b> {of them |}to {<n2>|a friend|her brother|his sister|me}. how many {<t> |}{does {she|he} have now|are left|remain}?",
    "<n> gave {away |}<b> of {his|her} <a> <t>{ to <n2>|}. how many {<t> |}{are left|does <p> have left|remain}?",
    "I have <a> <m> {and|,} {spend|pay|lose|give you} <b>{ <m>|}. how much {do I have left|is left|remains}?#m",
    "a {phone|coat|bike|chair} {costs|cost} <a> <m> and is now <b> <m> cheaper. {what does it cost now|how much is it|what is the price now}?#m",
    "{the price|a ticket} was <a> <m> and {fell|dropped|went down} by <b>{ <m>|}. {what is it now|how much is it now}?#m",
    "<n> weighs <a> kg and loses <b>{ kg|}. how {heavy is <p> now|much does <p> weigh now|many kg is that}?#kg",
    "it was <a> degrees and {fell|dropped} by <b>{ degrees|}. {how warm is it now|what is the temperature now|how many degrees is it now}?#degrees",
    "<n> has to {drive|walk|run|cycle} <a> {km|kilometres|miles} and has done <b>. how {far|many km|many kilometres} {is it still|remain|are left|to go}?#km",
    "the film {lasts|is|takes} <a> minutes. <b> minutes {are over|have passed|are gone}. how {long|many minutes} {is left|remain|to go|are left}?#minutes",
    "I need <a> <t> {and|but} {have|only have} <b>. how many {<t> |}{are missing|do I still need|more do I need}?",
    "there are <a> {pupils|people|children|guests} and <b> {go home|leave|are missing|left}. how many {stay|remain|are left|are there now}?#people",
    "<a> {birds|ducks|pigeons} sat on {a fence|a roof|the grass}. <b> flew away. how many {are left|stayed|are still there}?#birds",
    "{in|at} the {cinema|theatre|hall} there are <a> seats, <b> are {taken|sold|full}. how many {seats |}are {free|left|empty}?#seats",
    "a book has <a> pages and I {have read|read} <b>. how many {pages |}{are left|are left to read|do I still have to read|remain}?#pages",
    "how many <t> are left {if|when} {I|you|<n>} {take|takes|remove|removes|sell|eat} <b> {of|from} <a>?",
    "a {tank|barrel|bucket} {holds|has} <a> litres. <b> litres {leak out|are used|run out}. how {many litres|much} {are left|is left|remain}?#litres",
    f"<n> {_HAS} <a> <t> and {_LOSES} <b> {{of them|}}. {_ASK_LEFT}",
    f"<n> {_HAS} <a> <t>. {{<p>|<n>}} {_LOSES} <b> {{of them|}}. {_ASK_LEFT}",
    "there {are|were} <a> <t> {on the table|in the box|in the shop|on the shelf|in the garden}. <n> {takes|took|eats|buys|removes|picks} <b> {of them|}. how many {<t> |}{are left|remain|are still there}?",
    "a {bus|train|plane|boat|tram} has <a> {passengers|people|travellers}. <b> {of them|} {get off|leave|got off}. how many {passengers|people|travellers} {are left|remain|are still on board}?#people",
    "a {book|novel|story} has <a> pages. <n> {has read|read|reads} <b> {of them|pages|}. how many pages {are left|does <p> still have to read|remain}?#pages",
    "<n> has <a> <m>. {<p>|<n>} {spends|pays|spent|gives away} <b> <m> {on a {book|shirt|game|ticket}|for lunch|}. how {many <m> are|much money is|much is} left?#m",
    "<n> {pays|paid} with <a> <m> for a {book|shirt|lamp|toy|meal} that costs <b> <m>. how much change does <p> get?#m",
    "<n> has <a> <t> and <n2> has <b>. how many more {<t> |}does <n> have {than <n2>|}?",
    "<n> is <a> years old and <n2> is <b> {years old|}. {how much older is <n> {than <n2>|}|what is the {difference in age|age difference}|how many years apart are they}?#years",
    "<n> is <a> years old. how old was {<p>|<n>} <b> years ago?#years",
    "a {rope|ribbon|board|wire} is <a> {cm|metres|m} long. <n> cuts off <b>{ {cm|metres|m}|}. how long is the rest?#cm",
    "there are <a> seats in {the|a} {hall|cinema|room|theatre|bus}. <b> are {taken|occupied|sold|full}. how many {seats |}are {free|empty|left}?#seats",
    "<n> wants to {collect|save|read|bake|buy} <a> <t> and {already has|has} <b>. how many {more |<t> |more <t> }{are missing|does <p> need|are needed}?",
    "the {trip|road|way|race} is <a> {km|kilometres|miles} long. <n> has {done|driven|walked|run} <b>. how {far|many kilometres} {is left|remain|remains|to go}?#km",
    "a {tree|tower|wall|house} is <a> {metres|m} {high|tall} and another is <b>. {how much higher is the first|what is the difference}?#metres",
    "I have <a> <t> and {I|} {eat|lose|sell|give away|use} <b>. how many {<t> |}{are left|do I have left|do I have now|remain}?",
    "I had <a> <t>, {then|later|and} {my dog ate|I lost|I sold|<n> took} <b>. how many {<t> |}{are left|do I have left|do I still have}?",
    "if {you|I} have <a> <t> and {I|<n>} {take|takes|borrow|borrows} <b>, how many {<t> |}are left?",
    "out of <a> <t>, <b> are {broken|red|gone|sold|old}. how many {<t> |}are {not|left}?",
    "a {shop|store|market stall|baker} {had|has|starts with} <a> <t> and {sells|sold} <b> {today|in the morning|on Monday|}. how many {<t> |}{are left|remain|does it have left}?",
    "{a farmer|<n>} has <a> {cows|hens|goats|sheep} and sells <b>. how many animals {are left|remain|does <p> have left}?#animals",
    "of <a> {children|pupils|students} <b> are {ill|absent|at home|girls}. how many {children |pupils |students |}are {not|left|there}?#children",
)  # fmt: skip
MULTIPLY_STORIES = (
    "there are <a> {cars|buses|boats|tables} and each has <b> people in it. how many people {are there|is that}{ in total|}?#people",
    "a {carton|box|bag|pack|crate} {holds|has|contains} <b> <t>. how many <t> {do <a> {cartons|boxes|bags|packs|crates} hold|are in <a> {cartons|boxes|bags|packs|crates}}?",
    "{if|} a {train ticket|ticket|pizza|book|shirt} costs <b> <m>, what do <a> {tickets|pizzas|books|shirts|of them} cost?#m",
    "each of <a> {friends|children|guests|people} {brings|has|gets|eats} <b> <t>{ to the party|}. how many <t> {are there|is that}{ in total| altogether|}?",
    "I have <a> {boxes|bags|packs|jars} with <b> <t> {each|in each}. how many <t> {do I have|is that|are there}{ in total| altogether|}?",
    "<a> {boxes|bags|packs} {x|times|of} <b> <t>, how many {<t> |}is that?",
    "<n> {earns|makes|gets} <b> <m> {an|per} hour. how much {after|in|for} <a> hours?#m",
    "{there are|<n> has|a shop has|I have|we have} <a> <x> {with|of} <b> <t> {each|in each|}. how many <t> {are there|is that|are there in total|in total|altogether}?",
    "each {box|bag|basket|packet|crate|jar} {holds|has|contains} <b> <t>. how many <t> are {there |}in <a> {of them|{boxes|bags|baskets|packets|crates|jars}}?",
    "<n> {buys|bought|orders|sells} <a> {<x>|packs|boxes} with <b> <t> {each|in each}. how many <t> {is that|does <p> have|did <p> get|are there}{ in total| altogether|}?",
    "one {ticket|book|pen|shirt|cake|pizza|lamp|chair} costs <b> <m>. how much do <a> {of them|tickets|books|pens|shirts|cakes|pizzas|lamps|chairs} cost?#m",
    "<n> buys <a> {tickets|books|pens|shirts|cakes|pizzas|lamps|chairs} {for|at|that cost} <b> <m> each. how much {does <p> pay|is that|does it cost|do they cost}{ in total| altogether|}?#m",
    "<a> <t> at <b> <m> each, {what is the price|how much is that|how much do they cost|what do they cost|what is the total}?#m",
    "{a|the} {hall|cinema|room|theatre|plane} has <a> rows {of|with} <b> seats {each|}. how many {seats|people can sit}{ are there| are there in total|}?#seats",
    "<n> {reads|writes|learns} <b> pages {a|every|each|per} day. how many pages {is that|does <p> read|in total} {in|after|over} <a> days?#pages",
    "<n> {earns|saves|spends} <b> <m> {a|every|each|per} {day|week|hour}. how {much|many <m>} {is that|does <p> earn|does <p> save} {in|after|over} <a> {days|weeks|hours}?#m",
    "<n> {runs|walks|drives|cycles} <b> {km|kilometres|miles} {a|every|each|per} {day|hour}. how {far|many kilometres} {is that|is it|does <p> go} {in|after|over} <a> {days|hours}?#km",
    "{a|one} {car|table|chair|robot|cow} has <b> {wheels|legs|parts|screws}. how many {wheels|legs|parts|screws} do <a> {of them|} have?#parts",
    "<a> {children|friends|people|pupils} {each |}{have|get|bring|bought} <b> <t>{ each|}. how many <t> {is that|are there}{ in total| altogether|}?",
    "<n> {plants|planted} <a> rows of <b> {trees|flowers|plants}. how many plants is that{ in total| altogether|}?#plants",
    "{a|the} {garden|room|field|wall} is <a> {metres|m} long and <b> {metres|m} wide. {what is the area|how big is it|how large is its area}?#square metres",
    "<a> {teams|groups|classes} of <b> {players|children|people} {each |}{meet|play|travel}. how many people {is that|are there}{ in total|}?#people",
    "how many <t> {are|are there} in <a> <x> of <b>{ each|}?",
    "a {machine|worker|baker|printer} makes <b> <t> {an|per|each|every} hour. how many {<t> |}{does it make |are made |is that |}in <a> hours?",
    "<n> has <b> <t> and <n2> has <a> times as many. how many {<t> |}does <n2> have?",
    "a {week|job|course} has <a> days {and|with} <n> works <b> hours {each|a|every} day. how many hours {is that|does <p> work}{ in total|}?#hours",
)  # fmt: skip
TWO_STEP_STORIES: dict[str, tuple[str, ...]] = {
    "+-": (
        f"<n> {_HAS} <a> <t>, {_GETS} <b> {{more|}} and {{then|later|}} {{eats|loses|sells|uses|gives away|gave away|lost|sold}} <c>. {_ASK_LEFT}",
        f"<n> {_HAS} <a> <t>. {{<p>|<n>}} {_GETS} <b> {{more|}}, {{then|later}} <p> {{eats|loses|sells|uses|gives away|gave away|lost|sold}} <c>. {_ASK_LEFT}",
        "a {bus|train|tram|boat} has <a> {passengers|people}. <b> get on and <c> get off. how many {passengers|people} are {there|on board} now?#people",
        "<n> has <a> <m>, earns <b> {<m>|more|} and spends <c>{ <m>|}. how {much|many <m>|much money} is left?#m",
        "I have <a> <t>, I {buy|find|get} <b> more and {then |}{eat|lose|sell|give away} <c>. how many {<t> |}{are left|do I have now|do I have}?",
        "there {are|were} <a> <t> in the {shop|box|basket}. <b> {more |}are added and <c> are {sold|taken|removed}. how many {<t> |}are {left|there now}?",
        "<n> has <a> <t> and <n2> has <b>. together they {give away|sell|eat|lose} <c>. how many {<t> |}are left?",
        "a {library|school|club} had <a> {books|members|pupils|visitors}, <b> {came|joined|were added} and <c> {left|went|were lost}. how many are there now?#people",
    ),
    "-+": (
        f"<n> {_HAS} <a> <t>, {{eats|loses|sells|uses|gives away|gave away|lost|sold}} <b> and {{then|later|}} {{gets|buys|finds|bought|found|got}} <c> {{more|}}. {_ASK_HAVE}",
        f"<n> {_HAS} <a> <t>. {{<p>|<n>}} {{eats|loses|sells|uses|gives away|gave away|lost|sold}} <b>, {{then|later}} <p> {{gets|buys|finds|bought|found|got}} <c> {{more|}}. {_ASK_HAVE}",
        "a {bus|train|tram|boat} has <a> {passengers|people}. <b> get off and <c> get on. how many {passengers|people} are {there|on board} now?#people",
        "<n> has <a> <m>, spends <b> {<m>|} and earns <c>{ <m>| more|}. how {much|many <m>|much money} does <p> have{ now|}?#m",
        "I had <a> <t>, I {lost|sold|ate|gave away} <b> and {then |}{got|found|bought} <c>{ more|}. how many {<t> |}do I have{ now|}?",
        "there {are|were} <a> <t> in the {shop|box|basket}. <b> are {sold|taken|removed} and <c> {more |}are added. how many {<t> |}are there{ now|}?",
    ),
    "++": (
        f"<n> {_HAS} <a> <t>, {_GETS} <b> {{more|}} and {{then|later|}} {{gets|buys|finds|bought|found|got}} <c> {{more|others|}}. {_ASK_HAVE}",
        "<n> has <a> <t>, <n2> has <b> and <n3> has <c>. how many {<t> |}{do they have|is that|are there} {together|altogether|in total|in all}?",
        "<n> {read|reads} <a> pages on Monday, <b> on Tuesday and <c> on Wednesday. how many pages is that{ in total| altogether|}?#pages",
        "three {boxes|bags|baskets} {hold|have|contain} <a>, <b> and <c> <t>. how many {<t> |}are there{ in total| altogether|}?",
        "a {shirt|book|lamp} costs <a> <m>, a {hat|pen|chair} <b> <m> and a {cup|bag|game} <c> <m>. how much is that{ in total| altogether| together|}?#m",
        "I {buy|have|found} <a> {red|big} <t>, <b> {green|small} ones and <c> {blue|old} ones. how many {<t> |}do I have{ in total| altogether|}?",
    ),
    "--": (
        f"<n> {_HAS} <a> <t>, {{eats|loses|sells|uses|gives away|gave away|lost|sold}} <b> and {{then|later|}} {{eats|loses|sells|uses|lost|sold}} <c> {{more|}}. {_ASK_LEFT}",
        "<n> has <a> <m> and buys a {book|shirt|lamp} for <b> <m> and a {hat|pen|game} for <c> <m>. how {much|much money|many <m>} is left?#m",
        "a {book|novel} has <a> pages. <n> reads <b> on Monday and <c> on Tuesday. how many pages are left?#pages",
        "there {are|were} <a> <t>. <n> takes <b> and <n2> takes <c>. how many {<t> |}{are left|remain}?",
        "a {shop|baker} has <a> <t>, sells <b> in the morning and <c> in the afternoon. how many {<t> |}{are left|remain}?",
        "I have <a> <t>. I give <b> to <n> and <c> to <n2>. how many {<t> |}{are left|do I have left|do I keep}?",
    ),
    "*+": (
        "<n> has <a> <x> {with|of} <b> <t> {each|} and <c> {more|loose|single} {<t>|ones}. how many <t> {is that|does <p> have|are there}{ in total| altogether|}?",
        "<n> buys <a> {books|shirts|cakes} for <b> <m> each and a {bag|pen|cup} for <c> <m>. how much {does <p> pay|is that}{ in total| altogether|}?#m",
        "{a|the} {hall|room|cinema} has <a> rows of <b> seats and <c> {extra|more} seats. how many seats are there{ in total| altogether|}?#seats",
        "<n> reads <b> pages a day for <a> days and then <c> {more|}. how many pages is that{ in total|}?#pages",
        "I have <a> {boxes|bags|packs} of <b> <t> and <c> {more|loose} ones. how many {<t> |}do I have{ in total| altogether|}?",
    ),
    "*-": (
        "<n> has <a> <x> {with|of} <b> <t> {each|} and {eats|gives away|loses|sells} <c>{ of them|}. how many {<t> |}{are left|remain|does <p> have left}?",
        "{a|the} {hall|room|cinema} has <a> rows of <b> seats. <c> {seats |}are taken. how many {seats |}are {free|empty|left}?#seats",
        "<n> earns <b> <m> an hour, works <a> hours and spends <c>{ <m>|}. how {much|many <m>|much money} is left?#m",
        "I buy <a> {boxes|bags|packs} of <b> <t> and {eat|lose|give away|sell} <c>. how many {<t> |}{are left|do I have left}?",
        "a {shop|baker} has <a> trays of <b> <t> and sells <c>. how many {<t> |}{are left|remain}?",
    ),
}  # fmt: skip

_UNITS_WITH_SLOT = {"m": "<m>"}


def story(rng: random.Random, split: Split) -> Problem:
    """A word problem: three in five have one step, the others two."""
    if rng.random() < 0.6:
        sign = rng.choice("+-*")
        stories = {"+": ADD_STORIES, "-": SUBTRACT_STORIES, "*": MULTIPLY_STORIES}[sign]
        terms = (_one_step(rng, sign),)
        values = {"a": terms[0].left, "b": terms[0].right}
        return _told(rng, split, "word problems", stories, terms, values)
    signs = rng.choice(list(TWO_STEP_STORIES))
    first, second = _two_steps(rng, signs)
    values = {"a": first.left, "b": first.right, "c": second.right}
    stories = TWO_STEP_STORIES[signs]
    return _told(rng, split, "two-step problems", stories, (first, second), values)


def _one_step(rng: random.Random, sign: str) -> Term:
    if sign == "*":
        sizes = rng.choices(((1, 1), (2, 1), (1, 2), (2, 2)), (30, 30, 30, 10))[0]
    else:
        sizes = rng.choices(((1, 1), (2, 1), (2, 2), (3, 2), (3, 3)), (20, 25, 35, 12, 8))[0]
    left, right = max(2, number(rng, sizes[0])), max(2, number(rng, sizes[1]))
    if sign == "-" and left < right:
        left, right = right, left
    return Term(left, sign, right)


def _two_steps(rng: random.Random, signs: str) -> tuple[Term, Term]:
    while True:
        a = max(2, number(rng, rng.choice((1, 2, 2, 3)) if signs[0] != "*" else rng.choice((1, 1, 2))))
        b = max(2, number(rng, rng.choice((1, 1, 2)) if signs[0] != "*" else 1))
        c = max(2, number(rng, rng.choice((1, 1, 2))))
        first = Term(a, signs[0], b)
        second = Term(first.value, signs[1], c)
        if 0 <= first.value < 1000 and second.value >= 0:
            return first, second


def _told(
    rng: random.Random,
    split: Split,
    skill: str,
    stories: tuple[str, ...],
    terms: tuple[Term, ...],
    values: dict[str, int],
) -> Problem:
    wording, _, unit = draw(rng, split, stories).partition("#")
    first = terms[0]
    if first.sign == "*" and wording.index("<b>") < wording.index("<a>"):
        terms = (Term(first.right, "*", first.left), *terms[1:])  # factors in the order of the text
    names = rng.sample(NAMES, 3)
    he = rng.random() < 0.5
    thing = rng.choice(THINGS)
    money = rng.choice(MONEY)
    words = rng.random() < 0.1
    slots = {
        "n": names[0], "n2": names[1], "n3": names[2],
        "p": "he" if he else "she", "o": "him" if he else "her",
        "t": thing, "x": rng.choice(BOXES), "m": money,
    }  # fmt: skip
    for slot, value in values.items():
        slots[slot] = in_words(value, rng) if words and value < 13 else str(value)
    if money == "$":
        wording = wording.replace("many <m>", "many dollars").replace("<m>", "$")
        for slot in values:
            wording = wording.replace(f"<{slot}> $", f"$<{slot}>")
        wording = wording.replace(" $ ", " ").replace(" $.", ".")
    unit = {"": thing, "m": money}.get(unit.strip(), unit.strip())
    return Problem(skill, _sentences(fill(wording, slots)), terms, unit=unit)


def _sentences(text: str) -> str:
    """Capitals at sentence starts and no stray spaces."""
    parts = [part[:1].upper() + part[1:] for part in text.replace(" ?", "?").replace(" .", ".").replace(" ,", ",").split(". ")]
    return ". ".join(parts)
