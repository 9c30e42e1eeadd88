# ruff: noqa: E501 - one sentence of the tables stays on one line
"""Someone small sees a storm coming, and has to be believed."""

from __future__ import annotations

from typing import NamedTuple

from loquela.data.stories.draw import Draw, pair
from loquela.data.stories.entities import Entity, Phrase, Plot
from loquela.data.stories.plotting import build_plot, wordings
from loquela.data.stories.shared import SHARED, common_roles


class Danger(NamedTuple):
    """What the storm may take, how it is saved, and how it is found the day after."""

    what: Entity
    saved: Phrase
    after: Phrase


DANGERS = (
    Danger(
        Entity("boats", "barcas", "f", plural=True),
        Phrase(
            "{both*} pulled the boats up the beach, one by one, and tied them to the rocks.",
            "{both*} arrastraron las barcas playa arriba, una por una, y las ataron a las rocas.",
        ),
        Phrase(
            "In the morning the pier was gone, but not one boat was missing.",
            "Por la mañana el muelle había desaparecido, pero no faltaba ni una barca.",
        ),
    ),
    Danger(
        Entity("sheep", "ovejas", "f", plural=True),
        Phrase(
            "{both*} led the sheep down from the hill and shut them up in the barn.",
            "{both*} bajaron las ovejas de la colina y las encerraron en el establo.",
        ),
        Phrase(
            "In the morning the hill was white with hail, but the sheep were dry and warm.",
            "Por la mañana la colina estaba blanca de granizo, pero las ovejas estaban secas y calientes.",
        ),
    ),
    Danger(
        Entity("hens", "gallinas", "f", plural=True),
        Phrase(
            "{both*} carried the hens into the kitchen, two under each arm.",
            "{both*} llevaron las gallinas a la cocina, dos bajo cada brazo.",
        ),
        Phrase(
            "In the morning the henhouse had no roof, but there were six eggs in the kitchen.",
            "Por la mañana el gallinero no tenía techo, pero en la cocina había seis huevos.",
        ),
    ),
    Danger(
        Entity("apples", "manzanas", "f", plural=True),
        Phrase(
            "{both*} picked the apples by lamplight until the last basket was full.",
            "{both*} recogieron las manzanas a la luz de una lámpara hasta llenar la última cesta.",
        ),
        Phrase(
            "In the morning the trees stood bare, but the baskets were full.",
            "Por la mañana los árboles estaban pelados, pero las cestas estaban llenas.",
        ),
    ),
    Danger(
        Entity("circus tent", "carpa del circo", "f"),
        Phrase(
            "{both*} loosened the ropes and laid the tent down like a sleeping giant.",
            "{both*} soltaron las cuerdas y acostaron la carpa como a un gigante dormido.",
        ),
        Phrase(
            "In the morning the trees were down, but the circus could open its doors.",
            "Por la mañana había árboles caídos, pero el circo pudo abrir sus puertas.",
        ),
    ),
    Danger(
        Entity("school books", "libros de la escuela", "m", plural=True),
        Phrase(
            "{both*} carried the school books up to the attic in wheelbarrows and baskets.",
            "{both*} subieron los libros al desván en carretillas y cestas.",
        ),
        Phrase(
            "In the morning there was water up to the windows, but every page was dry.",
            "Por la mañana el agua llegaba a las ventanas, pero todas las páginas estaban secas.",
        ),
    ),
    Danger(
        Entity("beehives", "colmenas", "f", plural=True),
        Phrase(
            "{both*} moved the beehives behind the stone wall, very slowly, so as not to wake the bees.",
            "{both*} llevaron las colmenas detrás del muro de piedra, muy despacio, para no despertar a las abejas.",
        ),
        Phrase(
            "In the morning the garden was ruined, but the bees were humming in the sun.",
            "Por la mañana el jardín estaba destrozado, pero las abejas zumbaban al sol.",
        ),
    ),
    Danger(
        Entity("wheat", "trigo", "m"),
        Phrase(
            "{both*} brought in the wheat, sack after sack, until their arms ached.",
            "{both*} metieron el trigo en el granero, saco tras saco, hasta que les dolieron los brazos.",
        ),
        Phrase(
            "In the morning the fields were a lake, but there would be bread all winter.",
            "Por la mañana los campos eran un lago, pero habría pan todo el invierno.",
        ),
    ),
)

OUTLINE = """
open hobby?
sign
warn
doubt
low?
friend_in
act
storm fear?
after
sorry
glad? end/hobby_end/temper_end
"""

WORDINGS = {
    "title": wordings(
        ("The Night of the Storm", "La noche de la tormenta"),
        ("{name hero} and the Storm", "{name hero} y la tormenta"),
        ("How {name hero} Saved the {T what}", "Cómo {name hero} salvó {el what}"),
        ("{name hero}'s Warning", "El aviso de {name hero}"),
    ),
    "sign": wordings(
        (
            "{=when}, {hero} saw the gulls flying inland and the ants closing their doors.",
            "{=when}, {hero} vio que las gaviotas volaban tierra adentro y que las hormigas cerraban sus puertas.",
        ),
        (
            "{=when}, {hero} noticed that the wind had stopped and that the sky was turning green.",
            "{=when}, {hero} notó que el viento se había parado y que el cielo se ponía verde.",
        ),
        (
            "{=when}, {hero} saw a black cloud, no bigger than a hat, on the horizon.",
            "{=when}, {hero} vio en el horizonte una nube negra, no más grande que un sombrero.",
        ),
        (
            "{=when}, {hero} heard the frogs fall silent all at once.",
            "{=when}, {hero} oyó que las ranas se callaban todas a la vez.",
        ),
    ),
    "warn": wordings(
        (
            '"A storm is coming!" {hero*} told {intro neighbor}. "What will become of {the what}?"',
            "—¡Viene una tormenta! —le dijo {hero*} a {intro neighbor}—. ¿Qué va a ser {del what}?",
        ),
        (
            '"We must save {the what}," {hero*} said to {intro neighbor}. "There will be a storm tonight."',
            "—Hay que salvar {el what} —le dijo {hero*} a {intro neighbor}—. Esta noche habrá tormenta.",
        ),
    ),
    "doubt": wordings(
        (
            '"A storm? With this sun?" laughed {neighbor*}. "Go and play."',
            "—¿Una tormenta? ¿Con este sol? —se rio {neighbor*}—. Anda, vete a jugar.",
        ),
        (
            '"I have lived here all my life," said {neighbor*}, "and I know when it is going to rain."',
            "—Llevo aquí toda la vida —dijo {neighbor*}— y sé muy bien cuándo va a llover.",
        ),
        (
            '"You worry too much," answered {neighbor*}, without getting up from the chair.',
            "—Te preocupas demasiado —respondió {neighbor*} sin levantarse de la silla.",
        ),
    ),
    "friend_in": wordings(
        (
            '"I believe you," said {intro friend}, who had been listening. "Where do we start?"',
            "—Yo te creo —dijo {intro friend}, que lo había oído todo—. ¿Por dónde empezamos?",
        ),
        (
            '"Two are better than one," said {intro friend}. "Let us hurry!"',
            "—Dos pueden más que uno —dijo {intro friend}—. ¡Démonos prisa!",
        ),
        (
            '"My nose tells me the same," said {intro friend}. "I will help you."',
            "—A mí también me huele a lluvia —dijo {intro friend}—. Te ayudaré.",
        ),
    ),
    "act": wordings(("{=saved}", "{=saved}")),
    "storm": wordings(
        (
            "They had hardly finished when the thunder shook the windows and the rain came down like a river.",
            "Apenas habían terminado cuando los truenos sacudieron las ventanas y la lluvia cayó como un río.",
        ),
        (
            "At midnight the wind arrived, howling and tearing off roofs.",
            "A medianoche llegó el viento, aullando y arrancando tejados.",
        ),
        (
            "Then lightning split the sky in two, and the storm lasted until dawn.",
            "Entonces un relámpago partió el cielo en dos, y la tormenta duró hasta el alba.",
        ),
    ),
    "fear": wordings(
        (
            "{hero*} and {friend*} held each other tight and counted the seconds between the lightning and the thunder.",
            "{hero*} y {friend*} se abrazaron con fuerza y contaron los segundos entre el relámpago y el trueno.",
        ),
        (
            "{friend*} was trembling, and {hero*} sang softly until {friend*} fell asleep.",
            "{friend*} temblaba, y {hero*} le cantó bajito hasta que {friend*} se durmió.",
        ),
    ),
    "after": wordings(("{=after}", "{=after}")),
    "sorry": wordings(
        (
            '"You were right, and I did not listen," said {neighbor*}. "Next time I will be the first to help."',
            "—Tenías razón, y no te escuché —dijo {neighbor*}—. La próxima vez ayudaré antes que nadie.",
        ),
        (
            '"From now on I will watch the ants too," said {neighbor*} with a red face.',
            "—Desde ahora yo también miraré las hormigas —dijo {neighbor*} con la cara roja.",
        ),
        (
            '"Thanks to you two we have not lost {the what}," {neighbor*} admitted, with hat in hand.',
            "—Gracias a l{o both} dos no hemos perdido {el what} —admitió {neighbor*}, sombrero en mano.",
        ),
    ),
}


def plot(draw: Draw) -> Plot:
    """Draws who sees the storm, who doubts, who helps, and what is at stake."""
    hero, friend = draw.hero(), draw.friend()
    roles = common_roles(draw, hero)
    danger = draw.one(DANGERS)
    roles.entities |= {"friend": friend, "both": pair(hero, friend), "neighbor": draw.grown(), "what": danger.what}
    roles.phrases |= {"saved": danger.saved, "after": danger.after}
    return build_plot("storm", OUTLINE, (WORDINGS, SHARED), roles, draw)
