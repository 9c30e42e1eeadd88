# ruff: noqa: E501 - one sentence of the tables stays on one line
"""Something borrowed is broken; the truth is hard to tell, and mends more than the thing."""

from __future__ import annotations

from loquela.data.stories.draw import Draw, pair
from loquela.data.stories.entities import Plot
from loquela.data.stories.plotting import build_plot, wordings
from loquela.data.stories.shared import SHARED, common_roles
from loquela.data.stories.things import BREAKABLE, PLACES

OUTLINE = """
open friends~
lend
accident
hide~
asks
lie/silence
angry? guilt~
wise
confess
answer
mend scar? glad?
end/hobby_end/temper_end
"""

WORDINGS = {
    "title": wordings(
        ("The Broken {n thing}", "{el thing} rot{o thing}"),
        ("{name hero}, {name friend} and the {T thing}", "{name hero}, {name friend} y {El thing}"),
        ("Friends Again", "Amig{o both} de nuevo"),
        ("The Truth About the {T thing}", "La verdad sobre {El thing}"),
    ),
    "friends": wordings(
        ("{hero} was never far from {intro friend}.", "{hero} no se separaba nunca de {intro friend}."),
        ("{hero} did everything together with {intro friend}.", "{hero} lo hacía todo con {intro friend}."),
        (
            "{hero} and {intro friend} had been friends for as long as they could remember.",
            "{hero*} y {intro friend} eran amig{o both} desde que tenían memoria.",
        ),
    ),
    "lend": wordings(
        ("{=when}, {friend} lent {him hero} {a thing}.", "{=when}, {friend*} le prestó {al hero} {un thing}."),
        (
            "{=when}, {hero*} borrowed {a thing} from {friend*}, and promised to take good care of {them thing}.",
            "{=when}, {hero*} le pidió prestad{o thing} {un thing} {al friend} y prometió cuidar{lo thing} bien.",
        ),
    ),
    "accident": wordings(
        (
            "But {at place}, {hero} tripped and fell, and {the thing} broke.",
            "Pero {en place}, {hero} tropezó y se cayó, y {el thing} se {v thing romper pret}.",
        ),
        (
            "But {hero} left {them thing} {at place} all night, and in the morning {the thing} {was thing} broken.",
            "Pero {hero} {lo thing} dejó toda la noche {en place}, y por la mañana {el thing} {v thing estar imp} rot{o thing}.",
        ),
        (
            "But {at place}, while {hero} was running, {the thing} fell to the ground and broke.",
            "Pero {en place}, mientras {hero} corría, {el thing} {v thing caer pret} al suelo y se {v thing romper pret}.",
        ),
    ),
    "hide": wordings(
        (
            "Frightened, {hero} hid {the thing} under the bed.",
            "Del susto, {hero} escondió {el thing} debajo de la cama.",
        ),
        (
            "{hero} wrapped {the thing} in a cloth and told nobody.",
            "{hero} envolvió {el thing} en un trapo y no se lo contó a nadie.",
        ),
        (
            "{hero} buried {the thing} under some leaves and ran home.",
            "{hero} enterró {el thing} bajo unas hojas y corrió a casa.",
        ),
    ),
    "asks": wordings(
        (
            '"Where {is thing} my {n thing}?" asked {friend*} the next day.',
            "—¿Dónde {v thing estar pres} {mi thing}? —preguntó {friend*} al día siguiente.",
        ),
        (
            '"Can I have {the thing} back?" asked {friend*} a few days later.',
            "—¿Me devuelves {el thing}? —preguntó {friend*} unos días después.",
        ),
    ),
    "lie": wordings(
        (
            '"I gave {them thing} back to you yesterday," lied {hero*}, and blushed.',
            "—{lo thing} dejé ayer en tu casa —mintió {hero*}, con las mejillas ardiendo.",
        ),
        (
            '"I think somebody stole {them thing}," said {hero*} without looking up.',
            "—Creo que alguien {lo thing} robó —dijo {hero*} sin levantar la vista.",
        ),
    ),
    "silence": wordings(
        ("{hero*} looked at the floor and did not answer.", "{hero*} miró al suelo y no respondió."),
        (
            "{hero*} talked about the weather, and about lunch, and went away in a hurry.",
            "{hero*} habló del tiempo y de la comida, y se marchó a toda prisa.",
        ),
    ),
    "angry": wordings(
        ("{friend*} walked away without saying goodbye.", "{friend*} se fue sin despedirse."),
        ("For three days {friend*} did not come out to play.", "Durante tres días, {friend*} no salió a jugar."),
    ),
    "guilt": wordings(
        (
            "That night {hero*} could not sleep: every shadow on the wall looked like {a bare}.",
            "Aquella noche {hero*} no pudo dormir: cada sombra de la pared parecía {un bare}.",
        ),
        (
            "{hero*} felt as if there were a stone in {his hero} stomach.",
            "{hero*} sentía como una piedra en el estómago.",
        ),
        (
            "Without {friend*}, even the games tasted of nothing.",
            "Sin {friend*}, hasta los juegos resultaban aburridos.",
        ),
    ),
    "wise": wordings(
        (
            '"A truth weighs less than a secret," said {elder*}, who noticed everything.',
            "—Una verdad pesa menos que un secreto —dijo {elder*}, que se daba cuenta de todo.",
        ),
        (
            '"What is broken can be mended," said {elder*}, "but only if you take it out of the dark."',
            "—Lo que se rompe se puede arreglar —dijo {elder*}—, pero solo si lo sacas de la oscuridad.",
        ),
        (
            '"Who are you hiding from?" asked {elder*}. "From {friend*}, or from yourself?"',
            "—¿De quién te escondes? —preguntó {elder*}—. ¿De {name friend} o de ti?",
        ),
    ),
    "confess": wordings(
        (
            '"I broke {the thing}, and I was afraid to tell you," {hero*} said at last. "I am sorry."',
            "—Rompí {el thing}, y me daba miedo decírtelo —confesó por fin {hero*}—. Lo siento.",
        ),
        (
            '"I did not tell you the truth," said {hero*}, and put {the thing} on the table. "Forgive me."',
            "—No te dije la verdad —dijo {hero*}, y puso {el thing} sobre la mesa—. Perdóname.",
        ),
    ),
    "answer": wordings(
        (
            '"I can get {a bare} anywhere," said {friend*}, "but not another friend like you."',
            "—{un bare} se {v thing encontrar pres} en cualquier parte —dijo {friend*}—, pero otra amistad como la tuya, no.",
        ),
        (
            '"I was not angry because of {the thing}," answered {friend*}. "I missed you."',
            "—No me enfadé por {el thing} —respondió {friend*}—. Te echaba de menos.",
        ),
        (
            '"Thank you for telling me," said {friend*} after a long silence. "Let us fix {them thing} together."',
            "—Gracias por decírmelo —dijo {friend*} tras un largo silencio—. Vamos a arreglar{lo thing} junt{o both}.",
        ),
    ),
    "mend": wordings(
        (
            "{both} spent the whole afternoon mending {the thing} with glue, thread and patience.",
            "{both*} pasaron la tarde entera arreglando {el thing} con pegamento, hilo y paciencia.",
        ),
        (
            "With some string and a drop of glue, {both*} put the pieces of {the thing} back together.",
            "Con un cordel y una gota de pegamento, {both*} volvieron a unir los pedazos {del thing}.",
        ),
    ),
    "scar": wordings(
        (
            "A small crack could still be seen, and they both liked it that way.",
            "Todavía se veía una pequeña grieta, y a l{o both} dos les gustaba así.",
        ),
        (
            "{it thing} {was thing} not as pretty as before, but {it thing} had a story now.",
            "Ya no {v thing ser imp} tan bonit{o thing} como antes, pero ahora {v thing tener imp} una historia.",
        ),
    ),
}


def plot(draw: Draw) -> Plot:
    """Draws two friends, a breakable thing and the elder who sees it all."""
    hero, friend, elder = draw.hero(), draw.friend(), draw.elder()
    roles = common_roles(draw, hero)
    bare = draw.thing(BREAKABLE, plain=True)
    roles.entities |= {"friend": friend, "elder": elder, "both": pair(hero, friend), "bare": bare}
    roles.entities |= {"thing": draw.dressed(bare), "place": draw.place(PLACES)}
    return build_plot("friendship", OUTLINE, (WORDINGS, SHARED), roles, draw)
