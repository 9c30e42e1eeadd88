# ruff: noqa: E501 - one sentence of the tables stays on one line
"""A small animal is rescued, and later pays the kindness back with what only it can do."""

from __future__ import annotations

from loquela.data.stories.draw import Draw
from loquela.data.stories.entities import Phrase, Plot
from loquela.data.stories.plotting import build_plot, wordings
from loquela.data.stories.shared import SHARED, common_roles
from loquela.data.stories.things import PLACES

# By the friend's kind: the trouble the hero gets into, and how that animal ends it.
RESCUES: dict[str, tuple[Phrase, Phrase]] = {
    kind: (Phrase(*trouble), Phrase(*rescue))
    for kind, trouble, rescue in (
        (
            "mouse",
            (
                "{=later}, {hero*} stepped into a hunter's net and was left hanging from a branch.",
                "{=later}, {hero*} pisó la red de un cazador y se quedó colgando de una rama.",
            ),
            (
                "In a moment {friend*} was gnawing at the net, knot by knot, until {hero*} was free.",
                "Al momento {friend*} se puso a roer la red, nudo a nudo, hasta que {hero*} quedó libre.",
            ),
        ),
        (
            "crow",
            (
                "{=later}, a gust of wind shut the door of the tower, and {hero*} was locked inside.",
                "{=later}, una ráfaga de viento cerró la puerta de la torre, y {hero*} se quedó dentro, sin llave.",
            ),
            (
                "{friend*} flew off, came back with the key in {his friend} beak, and dropped it through the window.",
                "{friend*} se fue volando, volvió con la llave en el pico y la dejó caer por la ventana.",
            ),
        ),
        (
            "owl",
            (
                "{=later}, night caught {hero*} in the middle of the woods, without a moon and without a lamp.",
                "{=later}, la noche sorprendió {al hero} en mitad del bosque, sin luna y sin lámpara.",
            ),
            (
                "{friend*}, who could see in the dark, flew from tree to tree and led {hero*} safely home.",
                "{friend*}, que veía en la oscuridad, voló de árbol en árbol y guio {al hero} hasta su casa.",
            ),
        ),
        (
            "beaver",
            (
                "{=later}, the river carried the bridge away, and {hero*} could not get back home.",
                "{=later}, el río se llevó el puente, y {hero*} no podía volver a casa.",
            ),
            (
                "{friend*} set {his friend} teeth to a tall tree, and it fell right across the water like a new bridge.",
                "{friend*} royó el tronco de un árbol alto, que cayó de orilla a orilla como un puente nuevo.",
            ),
        ),
        (
            "mole",
            (
                "{=later}, some rocks fell and closed the mouth of a cave with {hero*} inside.",
                "{=later}, unas rocas cayeron y taparon la entrada de una cueva con {hero*} dentro.",
            ),
            (
                "{friend*} dug and dug, and by noon there was a tunnel to the light.",
                "{friend*} cavó y cavó, y al mediodía había un túnel hasta la luz.",
            ),
        ),
        (
            "otter",
            (
                "{=later}, {hero's} house keys fell into the deepest part of the lake.",
                "{=later}, a {name hero} se le cayeron las llaves de casa en lo más hondo del lago.",
            ),
            (
                "{friend*} dived once, twice, three times, and came up with the keys.",
                "{friend*} buceó una vez, dos veces, tres veces, y salió con las llaves.",
            ),
        ),
        (
            "goat",
            (
                "{=later}, {hero*} got stuck on a narrow ledge, and did not dare to go up or down.",
                "{=later}, {hero*} se quedó en una cornisa estrecha, sin atreverse a subir ni a bajar.",
            ),
            (
                "{friend*} climbed up in four jumps and showed {hero*} where to put each foot.",
                "{friend*} subió en cuatro saltos y le mostró {al hero} dónde poner cada pie.",
            ),
        ),
        (
            "donkey",
            (
                "{=later}, {hero's} cart sank into the mud up to the wheels.",
                "{=later}, el carro {del hero} se hundió en el barro hasta las ruedas.",
            ),
            (
                "{friend*} pulled with all {his friend} might, and the cart came out with a great splash.",
                "{friend*} tiró con todas sus fuerzas, y el carro salió salpicándolo todo.",
            ),
        ),
        (
            "hare",
            (
                "{=later}, {hero*} saw smoke coming from the barn, but the village was an hour away.",
                "{=later}, {hero*} vio salir humo del granero, pero el pueblo estaba a una hora de camino.",
            ),
            (
                "{friend*} ran like the wind to warn everyone, and they came in time to put out the fire.",
                "{friend*} corrió como el viento para avisar a todos, y llegaron a tiempo de apagar el fuego.",
            ),
        ),
        (
            "duck",
            (
                "{=later}, {hero*} lost the oars, and the boat began to drift away from the shore.",
                "{=later}, {hero*} perdió los remos, y la barca empezó a alejarse de la orilla.",
            ),
            (
                "{friend*} swam up, took the rope, and towed the boat back to land.",
                "{friend*} llegó nadando, tomó la cuerda y llevó la barca a tierra.",
            ),
        ),
        (
            "squirrel",
            (
                "{=later}, the wind blew {hero's} hat to the very top of a pine tree.",
                "{=later}, el viento se llevó el sombrero {del hero} a lo más alto de un pino.",
            ),
            (
                "{friend*} ran up the trunk, jumped along the branches, and came down with the hat on.",
                "{friend*} trepó por el tronco, saltó de rama en rama y bajó con el sombrero puesto.",
            ),
        ),
        (
            "elephant",
            (
                "{=later}, a fallen tree blocked the door of the house with {hero*} inside.",
                "{=later}, un árbol caído tapó la puerta de la casa con {hero*} dentro.",
            ),
            (
                "{friend*} put {his friend} trunk around the tree and lifted it like a straw.",
                "{friend*} rodeó el árbol con la trompa y lo levantó como una paja.",
            ),
        ),
    )
}

OUTLINE = """
open hobby?
trapped freed
promise
laugh?
trouble low?
cry
rescue glad?
moral
end/hobby_end/temper_end
"""

WORDINGS = {
    "title": wordings(
        ("{name hero} and the {T friend}", "{name hero} y {El friend}"),
        ("{name friend}'s Promise", "La promesa de {name friend}"),
        ("The {T friend} Who Came Back", "{El friend} que volvió"),
    ),
    "trapped": wordings(
        (
            "{=when}, {hero} heard a cry {at place}: {intro friend} was tangled in an old fishing line.",
            "{=when}, {hero} oyó un quejido {en place}: {intro friend} se había enredado en un viejo sedal.",
        ),
        (
            "{=when}, {hero} found {intro friend} {at place}, with one leg caught under a branch.",
            "{=when}, {hero} encontró {en place} a {intro friend}, con una pata atrapada bajo una rama.",
        ),
        (
            "{=when}, {at place}, {hero} came upon {intro friend}, who had a long thorn in one foot.",
            "{=when}, {en place}, {hero} se topó con {intro friend}, que tenía una espina larga en una pata.",
        ),
        (
            "{=when}, {hero} saw {intro friend} {at place}, shut up in a cage that someone had left behind.",
            "{=when}, {hero} vio {en place} a {intro friend}, encerrad{o friend} en una jaula que alguien había olvidado.",
        ),
    ),
    "freed": wordings(
        (
            "{hero} worked slowly, without hurting {him friend}, until {friend*} was free.",
            "Con mucho cuidado, sin hacerle daño, {hero*} {lo friend} liberó.",
        ),
        (
            "It took a long time and a lot of patience, but {hero} set {friend*} free.",
            "Hizo falta mucho tiempo y mucha paciencia, pero {hero} liberó {al friend}.",
        ),
        (
            "{hero} could have walked on, but stayed and helped until it was done.",
            "{hero} podría haber seguido su camino, pero se quedó y ayudó hasta que todo estuvo resuelto.",
        ),
    ),
    "promise": wordings(
        (
            '"I will not forget this," said {friend*}. "One day I will help you too."',
            "—No lo olvidaré —dijo {friend*}—. Un día yo también te ayudaré.",
        ),
        (
            '"If you ever need me," said {friend*}, "call my name three times."',
            "—Si alguna vez me necesitas —dijo {friend*}—, di mi nombre tres veces.",
        ),
        (
            '"You have a good heart," said {friend*}. "I owe you a favor."',
            "—Tienes buen corazón —dijo {friend*}—. Te debo un favor.",
        ),
    ),
    "laugh": wordings(
        (
            "How {a friend} could ever be of help, {hero*} could not imagine.",
            "{hero*} no podía imaginar para qué le serviría la ayuda de {desc friend}.",
        ),
        ("{hero*} smiled and did not think of it again.", "{hero*} sonrió y no volvió a pensar en ello."),
    ),
    "trouble": wordings(("{=trouble}", "{=trouble}")),
    "cry": wordings(
        (
            '"{name friend}! {name friend}! {name friend}!" called {hero*}.',
            "—¡{name friend}! ¡{name friend}! ¡{name friend}! —llamó {hero*}.",
        ),
        (
            '"Is anybody there?" cried {hero*}, almost without hope.',
            "—¿Hay alguien ahí? —gritó {hero*}, casi sin esperanza.",
        ),
        ('"Help!" shouted {hero*} with all {his hero} strength.', "—¡Socorro! —gritó {hero*} con todas sus fuerzas."),
    ),
    "rescue": wordings(("{=rescue}", "{=rescue}")),
    "moral": wordings(
        ('"Now we are even," said {friend*}, laughing.', "—Ahora estamos en paz —dijo {friend*} entre risas."),
        (
            '"I told you so," said {friend*}. "A friend is a friend."',
            "—Ya te lo dije —respondió {friend*}—. Para eso están los amigos.",
        ),
        (
            '"You remembered!" said {hero*}, and gave {him friend} a hug.',
            "—¡Te has acordado! —dijo {hero*}, y le dio un abrazo.",
        ),
    ),
}


def plot(draw: Draw) -> Plot:
    """Draws a rescue and the rescue that answers it."""
    kind = draw.one(tuple(RESCUES))
    friend = draw.animal_called(kind)
    hero = draw.child()
    roles = common_roles(draw, hero)
    trouble, rescue = RESCUES[kind]
    roles.entities |= {"friend": friend, "place": draw.place(PLACES)}
    roles.phrases |= {"trouble": trouble, "rescue": rescue}
    return build_plot("kindness", OUTLINE, (WORDINGS, SHARED), roles, draw)
