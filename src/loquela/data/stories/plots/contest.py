# ruff: noqa: E501 - one sentence of the tables stays on one line
"""A contest everyone wants to win, and a choice that matters more than the prize."""

from __future__ import annotations

from typing import NamedTuple

from loquela.data.stories.draw import Draw, pair
from loquela.data.stories.entities import Entity, Phrase, Plot
from loquela.data.stories.plotting import build_plot, wordings
from loquela.data.stories.shared import MUCH_LATER, SHARED, common_roles
from loquela.data.stories.things import TREASURES


class Contest(NamedTuple):
    """The contest, how one gets ready, what happens to the rival, what the hero does, how it ends."""

    name: Entity
    ready: Phrase
    mishap: Phrase
    help: Phrase
    end: Phrase


CONTESTS = tuple(
    Contest(name, *(Phrase(*row) for row in rows))
    for name, *rows in (
        (
            Entity("boat race", "carrera de barcas", "f"),
            (
                "{hero} rowed every morning until {his hero} arms felt like stone.",
                "{hero} remaba cada mañana hasta no sentir los brazos.",
            ),
            (
                "In the middle of the lake, {rival's} boat began to sink.",
                "En mitad del lago, la barca {del rival} empezó a hundirse.",
            ),
            (
                "{hero} was in the lead, but turned around and pulled {rival*} out of the water.",
                "{hero} iba en cabeza, pero dio la vuelta y sacó {al rival} del agua.",
            ),
            (
                "They crossed the line together, in the same boat, and last of all.",
                "Cruzaron la meta en la misma barca, detrás de todos los demás.",
            ),
        ),
        (
            Entity("cake contest", "concurso de pasteles", "m"),
            (
                "{hero} tried forty recipes and ate thirty-nine of them.",
                "{hero} probó cuarenta recetas y se comió treinta y nueve.",
            ),
            (
                "Just before the judges came, {rival's} cake fell to the floor.",
                "Justo antes de que llegara el jurado, a {name rival} se le cayó el pastel al suelo.",
            ),
            (
                "{hero} cut {his hero} own cake in two and gave half of it to {rival*}.",
                "{hero} cortó en dos su propio pastel y le dio la mitad {al rival}.",
            ),
            (
                "The judges tasted both halves and could not say which was better.",
                "El jurado probó las dos mitades y no supo decir cuál era mejor.",
            ),
        ),
        (
            Entity("kite festival", "festival de cometas", "m"),
            (
                "{hero} built a kite with a tail as long as the street.",
                "{hero} hizo una cometa con una cola tan larga como la calle.",
            ),
            ("Up in the sky, {rival's} string snapped.", "En pleno vuelo, a {name rival} se le rompió el hilo."),
            (
                "{hero} let go of {his hero} own kite and ran to catch {rival's} before it reached the sea.",
                "{hero} soltó su propia cometa y corrió a atrapar la {del rival} antes de que llegara al mar.",
            ),
            (
                "The free kite rose so high that everyone clapped.",
                "La cometa suelta subió tan alto que todos aplaudieron.",
            ),
        ),
        (
            Entity("singing contest", "concurso de canto", "m"),
            (
                "{hero} sang in the kitchen, on the stairs, and even under the water.",
                "{hero} cantaba en la cocina, en la escalera y hasta debajo del agua.",
            ),
            (
                "When {rival's} turn came, no sound came out.",
                "Cuando le tocó el turno a {name rival}, no le salió la voz.",
            ),
            (
                "{hero} went up on the stage and began to sing very softly, until {rival*} found the tune.",
                "{hero} subió al escenario y empezó a cantar muy bajito, hasta que {rival*} encontró la melodía.",
            ),
            (
                "The two voices together sounded like a spring in the forest.",
                "Las dos voces juntas sonaban como un manantial en el bosque.",
            ),
        ),
        (
            Entity("great footrace", "gran carrera", "f"),
            (
                "{hero} ran to the mill and back before breakfast.",
                "{hero} corría hasta el molino y volvía antes del desayuno.",
            ),
            (
                "Near the end, {rival*} twisted an ankle and fell.",
                "Cerca del final, {rival*} se torció un tobillo y cayó.",
            ),
            (
                "{hero} heard the cry, stopped, and went back to help {rival*} up.",
                "{hero} oyó el grito, se detuvo y volvió para ayudar {al rival} a levantarse.",
            ),
            (
                "They reached the finish line arm in arm when everyone else had gone home.",
                "Llegaron a la meta del brazo, cuando todos los demás ya se habían ido a casa.",
            ),
        ),
        (
            Entity("painting contest", "concurso de pintura", "m"),
            (
                "{hero} painted the same hill in the rain, in the sun and in the snow.",
                "{hero} pintó la misma colina con lluvia, con sol y con nieve.",
            ),
            ("On the last day, {rival*} ran out of paint.", "El último día, {rival*} se quedó sin pintura."),
            (
                "{hero} moved over and shared all {his hero} colors with {rival*}.",
                "{hero} hizo sitio y compartió todos sus colores con {rival*}.",
            ),
            (
                "The two pictures, hung side by side, looked like one single landscape.",
                "Los dos cuadros, colgados juntos, parecían un solo paisaje.",
            ),
        ),
        (
            Entity("sandcastle contest", "concurso de castillos de arena", "m"),
            (
                "{hero} drew towers and bridges on every scrap of paper.",
                "{hero} dibujó torres y puentes en cada trozo de papel.",
            ),
            (
                "An hour before the end, a wave carried off {rival's} castle.",
                "Una hora antes del final, una ola se llevó el castillo {del rival}.",
            ),
            (
                "{hero} looked at {his hero} tall towers and said that there was room for one more builder.",
                "{hero} miró sus altas torres y dijo que allí cabía alguien más.",
            ),
            (
                "By evening their castle had so many rooms that even the crabs moved in.",
                "Al atardecer su castillo tenía tantas salas que hasta los cangrejos se mudaron a él.",
            ),
        ),
        (
            Entity("pumpkin contest", "concurso de calabazas", "m"),
            (
                "{hero} watered {his hero} pumpkin every night and read stories to it.",
                "{hero} regaba su calabaza todas las noches y le leía cuentos.",
            ),
            (
                "On the way there, {rival's} wheelbarrow lost its wheel.",
                "Por el camino, a la carretilla {del rival} se le salió la rueda.",
            ),
            (
                "{hero} left {his hero} own pumpkin by the road and carried {rival's} first.",
                "{hero} dejó su propia calabaza junto al camino y llevó primero la {del rival}.",
            ),
            (
                "When {hero*} came back, it was too late to enter the contest.",
                "Cuando {hero*} volvió, ya era tarde para participar.",
            ),
        ),
    )
)

OUTLINE = """
open hobby?
prize
ready
boast
begin mishap
help
why~
finish
result
share
end/hobby_end/temper_end
"""

WORDINGS = {
    "title": wordings(
        ("The Best Prize", "El mejor premio"),
        ("{name hero} and {name rival}", "{name hero} y {name rival}"),
        ("{name hero}'s Prize", "El premio de {name hero}"),
        ("Who Will Win the {T prize}?", "¿Quién ganará {El prize}?"),
    ),
    "prize": wordings(
        (
            "The prize of {the contest} was {a prize}, and {hero} wanted to win {them prize} for {elder*}.",
            "El premio para quien ganara {el contest} {v prize ser imp} {un prize}, y {hero*} quería ganar{lo prize} para {elder*}.",
        ),
        (
            "That year, whoever won {the contest} would get {a prize}. {hero*} could think of nothing else.",
            "Aquel año, quien ganara {el contest} se llevaría {un prize}. {hero*} no pensaba en otra cosa.",
        ),
    ),
    "boast": wordings(
        (
            '"Do not even try," said {intro rival}. "I always win."',
            "—Ni lo intentes —dijo {intro rival}—. Yo gano siempre.",
        ),
        (
            '"{the prize} will be mine," said {intro rival}, laughing.',
            "—{el prize} {v prize ser fut} para mí —dijo {intro rival} entre risas.",
        ),
        (
            '"May the best one win," said {intro rival}, without smiling.',
            "—Que gane quien lo haga mejor —dijo {intro rival} sin sonreír.",
        ),
    ),
    "begin": wordings(
        (
            "{=later}, the great day came, and all the neighbors came to watch.",
            "{=later}, llegó el gran día, y todo el vecindario acudió a mirar.",
        ),
        (
            "At last the day of {the contest} came. {hero*} had hardly slept.",
            "Por fin llegó el día {del contest}. {hero*} apenas había dormido.",
        ),
    ),
    "why": wordings(
        (
            '"Why are you helping me?" asked {rival*} in surprise.',
            "—¿Por qué me ayudas? —preguntó {rival*} con sorpresa.",
        ),
        ('"You are going to lose because of me," said {rival*}.', "—Vas a perder por mi culpa —dijo {rival*}."),
        ('"I would not have done it for you," {rival*} confessed.', "—Yo no lo habría hecho por ti —confesó {rival*}."),
        ('"Winning alone is no fun," said {hero*}.', "—Ganar en solitario no tiene gracia —dijo {hero*}."),
    ),
    "result": wordings(
        (
            '"Today the prize is not for the fastest or the best," said {intro judge}, one of the judges, "but for the most generous. {the prize} {is prize} for {name hero}!"',
            "—Hoy el premio no es para quien más corre ni para quien más sabe —dijo {intro judge}, del jurado—, sino para quien más ha dado. ¡{el prize} {v prize ser pres} para {name hero}!",
        ),
        (
            '"We cannot decide," said {intro judge} in the name of the judges, "so the prize is for both of you."',
            "—No sabemos decidir —dijo {intro judge} en nombre del jurado—, así que el premio es para l{o both} dos.",
        ),
    ),
    "share": wordings(
        (
            "From that day on, {hero*} kept {the prize} on even days and {rival*} on odd days.",
            "Desde aquel día, {hero*} guardó {el prize} los días pares y {rival*} los impares.",
        ),
        (
            "{hero*} gave {the prize} to {elder*}, who put {them prize} by the window for all to see.",
            "{hero*} le regaló {el prize} {al elder}, que {lo prize} puso junto a la ventana para que todos {lo prize} vieran.",
        ),
        (
            "{rival*} shook hands with {hero*}, and they have been friends ever since.",
            "{rival*} le dio la mano {al hero}, y desde entonces hay entre l{o both} dos una gran amistad.",
        ),
    ),
}


def plot(draw: Draw) -> Plot:
    """Draws a contest, a rival, a prize and a judge."""
    hero, rival = draw.hero(), draw.friend()
    roles = common_roles(draw, hero)
    contest = draw.one(CONTESTS)
    roles.entities |= {
        "rival": rival,
        "both": pair(hero, rival),
        "elder": draw.elder(),
        "judge": draw.grown(),
        "prize": draw.thing(TREASURES),
    }
    roles.phrases["later"] = draw.one(MUCH_LATER)
    roles.entities["contest"] = contest.name
    events = {
        "ready": (contest.ready,),
        "mishap": (contest.mishap,),
        "help": (contest.help,),
        "finish": (contest.end,),
    }
    return build_plot("contest", OUTLINE, (events, WORDINGS, SHARED), roles, draw)
