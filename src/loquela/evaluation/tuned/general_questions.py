"""General questions and prose of our own; the first choice of each is the right one."""

from __future__ import annotations

from dataclasses import dataclass

CHOICES = 4


@dataclass(frozen=True)
class Question:
    """A text and the ways it may go on."""

    text: str
    choices: tuple[str, ...]


_FACTS = """
The capital of France is| Paris| Madrid| Rome| Berlin
The capital of Japan is| Tokyo| Beijing| Seoul| Bangkok
The capital of Spain is| Madrid| Lisbon| Paris| Athens
Water freezes at zero degrees| Celsius| Kelvin| Newton| Volt
The opposite of hot is| cold| tall| green| loud
The sun rises in the| east| west| north| evening
A week has seven| days| months| hours| years
The largest ocean on Earth is the| Pacific| Baltic| Caspian| Black Sea
Romeo and Juliet was written by| William Shakespeare| Charles Dickens| Mark Twain| Jane Austen
The planet closest to the sun is| Mercury| Jupiter| Saturn| Neptune
Plants take in light with their| leaves| wheels| feathers| teeth
The chemical symbol of gold is| Au| Fe| He| Na
Bees make| honey| milk| wool| bread
Ice is frozen| water| sand| iron| wood
The heart pumps| blood| air| food| sound
Spiders have eight| legs| wings| tails| ears
The language spoken in Brazil is| Portuguese| Swedish| Turkish| Greek
A doctor works in a| hospital| bakery| stable| lighthouse
The first month of the year is| January| April| August| October
Birds are covered with| feathers| scales| fur| bark
La capital de Italia es| Roma| París| Lima| Londres
El agua del mar es| salada| dulce| cuadrada| seca
Lo contrario de grande es| pequeño| azul| rápido| viejo
Un triángulo tiene tres| lados| patas| hojas| ruedas
"""
_ARITHMETIC = """
2 + 2 =| 4| 5| 7| 9
3 + 4 =| 7| 8| 5| 2
5 + 1 =| 6| 4| 9| 3
9 - 3 =| 6| 7| 2| 8
8 - 5 =| 3| 6| 1| 9
2 * 3 =| 6| 5| 8| 1
4 * 2 =| 8| 6| 9| 3
10 + 10 =| 20| 30| 15| 11
12 - 2 =| 10| 14| 12| 22
7 + 5 =| 12| 10| 13| 75
6 * 6 =| 36| 66| 12| 32
100 - 1 =| 99| 101| 90| 10
20 / 2 =| 10| 22| 18| 40
15 + 15 =| 30| 25| 45| 15
9 + 9 =| 18| 99| 16| 20
1, 2, 3, 4,| 5| 9| 1| 3
2, 4, 6, 8,| 10| 9| 7| 2
10, 20, 30, 40,| 50| 45| 10| 90
5, 4, 3, 2,| 1| 6| 5| 3
1, 3, 5, 7,| 9| 8| 2| 1
"""
_FORMATS = """
red -> RED; blue -> BLUE; green ->| GREEN| green| Green| a colour
cat: 3 letters; horse: 5 letters; bird:| 4 letters| four| it flies| 40
{"name": "Ann", "age": 31}\\n{"name": "Ben", "age":| 27}| "old", so| [1| years
- milk\\n- bread\\n-| eggs| 1. eggs| Then we went home| {"eggs"
1. wash\\n2. cut\\n3.| cook| - cook| Once upon a time| 2. cut
Q: Is snow white? A: yes. Q: Is grass white? A:| no| white| Q| perhaps the grass was once
name,age\\nAnn,31\\nBen,| 27| years| ; 27; ;| is Ben's age
2024-01-01\\n2024-01-02\\n2024-01-| 03| March| /3/| the third
Paris (France), Rome (Italy), Madrid| (Spain)| [Spain]| is in Spain| , Spain
one two three / one two three / one two| three| /| four| one
cat, dog, cow; red, blue, green; one, two,| three| cow| red| ;
10:00 open\\n18:00 close\\n10:00 open\\n18:00| close| open| 10:00| , when it
yes: 1, no: 0, yes: 1, no:| 0| 1| yes| no
A) up B) down A) left B)| right| A)| left| up
[1] apple [2] pear [3]| plum| [1]| 3| (2)
to: Ann\\nfrom: Ben\\n\\nto: Ben\\nfrom:| Ann| to| Ben| :
x = 1; y = 2; z =| 3| ;| x| y
hello -> olleh; cat ->| tac| cat| dog| hello
"""


def _questions(table: str) -> tuple[Question, ...]:
    found = []
    for line in table.strip().splitlines():
        text, *choices = line.replace("\\n", "\n").split("|")
        found.append(Question(text, tuple(choices)))
    return tuple(found)


QUESTIONS: dict[str, tuple[Question, ...]] = {
    "facts": _questions(_FACTS),
    "arithmetic": _questions(_ARITHMETIC),
    "formats": _questions(_FORMATS),
}

PROSE = (
    "The road climbed slowly between the fields, and by noon the two travellers had reached the first trees of the "
    "forest. They sat down on a fallen trunk, shared what bread was left, and listened to the wind in the leaves.",
    "A small library can do much for a village. It lends books, of course, but it also gives children a quiet place "
    "to read after school, and old people a reason to leave the house on a rainy afternoon.",
    "To repair a leaking tap, first close the valve that feeds it. Then open the tap to let the remaining water run "
    "out, unscrew the handle, and replace the worn washer with a new one of the same size.",
    "El mercado se llenaba temprano. Las mujeres traían cestas de fruta y pan, los hombres descargaban sacos de "
    "harina, y los niños corrían entre los puestos hasta que alguien los llamaba a desayunar.",
    "Rivers shape the land that they cross. In the mountains they cut deep valleys; in the plains they slow down, "
    "turn, and drop the sand and mud that they have carried, so that the soil beside them is rich.",
    "She opened the letter at once, read it twice, and laid it on the table without a word. Nobody asked what was in "
    "it. Outside, the last carriage of the evening went by, and somebody laughed in the street.",
)
