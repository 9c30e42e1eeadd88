# ruff: noqa: E501 - one sentence of the tables stays on one line
"""A wish has to wait because a neighbor needs help, and the help brings the wish along."""

from __future__ import annotations

from typing import NamedTuple

from loquela.data.stories.draw import Draw
from loquela.data.stories.entities import Phrase, Plot
from loquela.data.stories.plotting import build_plot, wordings
from loquela.data.stories.shared import SHARED, common_roles
from loquela.data.stories.things import PLACES, TREASURES


class Chore(NamedTuple):
    """The trouble a neighbor has, how it was tried alone, and how it is done by many."""

    trouble: Phrase
    alone: Phrase
    idea: Phrase
    done: Phrase


CHORES = tuple(
    Chore(*(Phrase(*row) for row in rows))
    for rows in (
        (
            (
                "{neighbor's} roof had a hole, and rain was on its way.",
                "El tejado {del neighbor} tenía un agujero, y estaba a punto de llover.",
            ),
            (
                "{hero} carried tiles up the ladder one at a time, but the clouds were faster.",
                "{hero} subía las tejas por la escalera de una en una, pero las nubes iban más deprisa.",
            ),
            (
                '"What if we pass the tiles from hand to hand?" said {hero*}, and called the whole street.',
                "—¿Y si nos pasamos las tejas de mano en mano? —dijo {hero*}, y llamó a toda la calle.",
            ),
            (
                "When the first drop fell, the last tile was in its place.",
                "Cuando cayó la primera gota, la última teja ya estaba en su sitio.",
            ),
        ),
        (
            (
                "{neighbor's} pears were ripe, and a frost was coming that very night.",
                "Las peras {del neighbor} estaban maduras, y esa misma noche iba a helar.",
            ),
            (
                "{hero} picked until {his hero} back hurt, but there were still forty trees.",
                "{hero} recogió peras hasta que le dolió la espalda, pero aún quedaban cuarenta árboles.",
            ),
            (
                '"Whoever picks a basket may keep ten pears!" {hero*} shouted in the square.',
                "—¡Quien recoja una cesta se queda con diez peras! —gritó {hero*} en la plaza.",
            ),
            (
                "At midnight the trees were empty and the barn smelled of fruit.",
                "A medianoche los árboles estaban vacíos y el granero olía a fruta.",
            ),
        ),
        (
            (
                "{neighbor's} cow had wandered off, and her calf was crying with hunger.",
                "La vaca {del neighbor} se había escapado, y su ternero lloraba de hambre.",
            ),
            (
                "{hero} looked behind every hedge and found only muddy tracks.",
                "{hero} miró detrás de cada seto y solo encontró huellas en el barro.",
            ),
            (
                '"Bring the calf," said {hero*}. "The cow will hear its voice before ours."',
                "—Hay que traer al ternero —dijo {hero*}—. La vaca oirá su voz antes que la nuestra.",
            ),
            (
                "The calf cried once, and the cow came running out of the trees.",
                "El ternero mugió una vez, y la vaca salió corriendo de entre los árboles.",
            ),
        ),
        (
            (
                "{neighbor's} well had dried up, and the lettuces were dying of thirst.",
                "El pozo {del neighbor} se había secado, y las lechugas se morían de sed.",
            ),
            (
                "{hero} carried buckets from the river, but half the water was lost on the way.",
                "{hero} llevó cubos desde el río, pero la mitad del agua se perdía por el camino.",
            ),
            (
                '"Let us make a channel with hollow branches," said {hero*}.',
                "—Hagamos un canal con ramas huecas —dijo {hero*}.",
            ),
            (
                "In the evening the water ran by itself from the river to the garden.",
                "Al anochecer el agua corría sola desde el río hasta el huerto.",
            ),
        ),
        (
            (
                "{neighbor's} cart, loaded with pumpkins, had tipped over on the hill.",
                "El carro {del neighbor}, cargado de calabazas, se había volcado en la cuesta.",
            ),
            (
                "{hero} ran after one pumpkin while three others rolled away.",
                "{hero} corría detrás de una calabaza mientras otras tres se escapaban rodando.",
            ),
            (
                '"Let us stretch my blanket at the bottom of the hill!" said {hero*}. "They will all come to us."',
                "—¡Extendamos mi manta al pie de la cuesta! —dijo {hero*}—. Vendrán todas solas.",
            ),
            (
                "Soon every pumpkin lay in the blanket, and not one was broken.",
                "Pronto todas las calabazas estaban en la manta, y ninguna se había roto.",
            ),
        ),
        (
            (
                "{neighbor's} fence had fallen down, and the goats were eating the roses.",
                "La valla {del neighbor} se había caído, y las cabras se estaban comiendo las rosas.",
            ),
            ("{hero} chased away one goat, and two more came in.", "{hero} espantaba una cabra, y entraban dos más."),
            (
                '"Goats love salt," said {hero*}. "Let us put some in the meadow, and then mend the fence in peace."',
                "—A las cabras les encanta la sal —dijo {hero*}—. Pongamos un poco en el prado y luego arreglemos la valla en paz.",
            ),
            (
                "The goats licked the salt all day, and by sunset the fence was standing.",
                "Las cabras lamieron la sal todo el día, y al atardecer la valla estaba en pie.",
            ),
        ),
        (
            (
                "{neighbor's} clock had stopped, and the wedding was to begin at noon.",
                "El reloj {del neighbor} se había parado, y la boda empezaba a mediodía.",
            ),
            (
                "{hero} shook the clock, turned it over, and blew on it, but it said nothing.",
                "{hero} sacudió el reloj, le dio la vuelta y lo sopló, pero no se oyó nada.",
            ),
            (
                '"If we put a stick in the ground," said {hero*}, "the sun will tell us the time."',
                "—Si clavamos un palo en el suelo —dijo {hero*}—, el sol nos dirá la hora.",
            ),
            (
                "When the shadow was at its shortest, the bells rang, and nobody was late.",
                "Cuando la sombra fue más corta que nunca, sonaron las campanas, y nadie llegó tarde.",
            ),
        ),
        (
            (
                "{neighbor's} oven had gone cold, and a hundred rolls were waiting for the feast.",
                "El horno {del neighbor} se había quedado frío, y cien panecillos esperaban para la fiesta.",
            ),
            (
                "{hero} blew on the ashes until {he hero} was dizzy, but the wood was wet.",
                "{hero} sopló las cenizas hasta marearse, pero la leña estaba mojada.",
            ),
            (
                '"Every house has a little dry wood," said {hero*}. "If each gives one stick, we shall have a fire."',
                "—En cada casa hay un poco de leña seca —dijo {hero*}—. Si cada una da un palo, tendremos fuego.",
            ),
            ("Soon the whole street smelled of warm bread.", "Pronto la calle entera olía a pan caliente."),
        ),
    )
)

OUTLINE = """
open hobby?
wish
plan meets
choose
alone low_road?
idea
done glad?
reward
surprise
end/hobby_end/temper_end
"""

WORDINGS = {
    "title": wordings(
        ("{name hero}'s Wish", "El deseo de {name hero}"),
        ("A Good Neighbor", "Cosas de vecinos"),
        ("{name hero} Lends a Hand", "{name hero} echa una mano"),
        ("The {T thing} in the Window", "{El thing} del escaparate"),
    ),
    "wish": wordings(
        (
            "In a shop window there {was thing} {a thing}, and {hero} dreamed of {them thing} every night.",
            "En un escaparate había {un thing}, y {hero} soñaba con {él thing} todas las noches.",
        ),
        (
            "For a year {hero} had been saving up to buy {a thing}.",
            "{hero} llevaba un año ahorrando para comprar {un thing}.",
        ),
        (
            "More than anything, {hero} wished for {a thing}.",
            "Más que nada en el mundo, {hero} deseaba tener {un thing}.",
        ),
    ),
    "plan": wordings(
        (
            "{=when}, {hero} was on the way to buy {them thing} with {his hero} last coins.",
            "{=when}, {hero} iba a comprar{lo thing} con sus últimas monedas.",
        ),
        (
            "{=when}, {hero} left home early to earn some money {at place}.",
            "{=when}, {hero} salió temprano de casa para ganar algo de dinero {en place}.",
        ),
    ),
    "meets": wordings(
        (
            "On the way {he hero} met {intro neighbor}, who looked desperate. {=trouble}",
            "Por el camino se encontró con {intro neighbor}, que parecía desesperad{o neighbor}. {=trouble}",
        ),
        (
            "But {he hero} heard someone calling for help: it was {intro neighbor}. {=trouble}",
            "Pero oyó que alguien pedía ayuda: era {intro neighbor}. {=trouble}",
        ),
    ),
    "choose": wordings(
        (
            '"{the thing} can wait," said {hero*}, rolling up {his hero} sleeves. "What can I do?"',
            "—{el thing} {v thing poder pres} esperar —dijo {hero*}, arremangándose—. ¿Qué puedo hacer?",
        ),
        (
            '"I was going somewhere," said {hero*}, "but this is more important."',
            "—Iba a otro sitio —dijo {hero*}—, pero esto es más importante.",
        ),
        ('"You are not alone," said {hero*}. "Let us begin."', "—No estás sol{o neighbor} —dijo {hero*}—. Empecemos."),
    ),
    "reward": wordings(
        (
            '"I have little money," said {neighbor*}, "but this has been in my attic for years. Take it."',
            "—Tengo poco dinero —dijo {neighbor*}—, pero esto lleva años en mi desván. Es para ti.",
        ),
        (
            '"Nobody has ever done so much for me," said {neighbor*}, and brought out a parcel.',
            "—Nadie había hecho nunca tanto por mí —dijo {neighbor*}, y sacó un paquete.",
        ),
    ),
    "surprise": wordings(
        (
            "{hero*} lifted the lid and held {his hero} breath: inside {was thing} {a thing}.",
            "{hero*} levantó la tapa y contuvo la respiración: dentro había {un thing}.",
        ),
        (
            "Inside, wrapped in an old newspaper, {was thing} {a thing}.",
            "Dentro, entre hojas de un periódico viejo, había {un thing}.",
        ),
        (
            "Under the paper {hero*} saw {a thing}, just as in {his hero} dreams.",
            "Bajo el papel, {hero*} vio {un thing}, tal como en sus sueños.",
        ),
    ),
}


def plot(draw: Draw) -> Plot:
    """Draws a wish, a neighbor in trouble and the way out of it."""
    hero = draw.hero()
    roles = common_roles(draw, hero)
    chore = draw.one(CHORES)
    roles.entities |= {"neighbor": draw.grown(), "thing": draw.thing(TREASURES), "place": draw.place(PLACES)}
    roles.phrases["trouble"] = chore.trouble
    chores = {"alone": (chore.alone,), "idea": (chore.idea,), "done": (chore.done,)}
    return build_plot("neighbor", OUTLINE, (chores, WORDINGS, SHARED), roles, draw)
