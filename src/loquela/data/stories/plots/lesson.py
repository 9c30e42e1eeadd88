"""Someone wants to learn a thing that is hard, and one piece of advice makes the difference."""

from __future__ import annotations

from loquela.data.stories.draw import Draw
from loquela.data.stories.entities import Phrase, Plot
from loquela.data.stories.plotting import build_plot, wordings
from loquela.data.stories.shared import MUCH_LATER, SHARED, common_roles
from loquela.data.stories.things import PLACES, SKILLS, TREASURES

# (the advice, how it is remembered when it counts)
ADVICE: tuple[tuple[Phrase, Phrase], ...] = tuple(
    (Phrase(*said), Phrase(*used))
    for said, used in (
        (
            (
                '"Count to three before you begin," said {mentor*}. "Fear cannot count."',
                "—Cuenta hasta tres antes de empezar —dijo {mentor*}—. El miedo no sabe contar.",
            ),
            (
                "One, two, three, counted {hero*}, and the fear was gone.",
                "Uno, dos, tres, contó {hero*}, y el miedo desapareció.",
            ),
        ),
        (
            (
                '"You are in too much of a hurry," said {mentor*}. "Do it slowly, and then more slowly still."',
                "—Tienes demasiada prisa —dijo {mentor*}—. Hazlo despacio, y después más despacio todavía.",
            ),
            (
                "Slowly, {hero*} told {himself hero}, and this time nothing went wrong.",
                "Despacio, se dijo {hero*}, y esta vez nada salió mal.",
            ),
        ),
        (
            (
                '"Nobody learns alone," said {mentor*}. "Give me your hand."',
                "—Nadie aprende solo —dijo {mentor*}—. Dame la mano.",
            ),
            (
                "{hero*} looked for {mentor*} in the crowd, saw {him mentor} nod, and began.",
                "{hero*} buscó con la mirada {al mentor}, que asintió, y empezó.",
            ),
        ),
        (
            (
                '"Every mistake is a step," said {mentor*}. "How many have you made?"',
                "—Cada error es un escalón —dijo {mentor*}—. ¿Cuántos llevas?",
            ),
            (
                "{hero*} made one small mistake, smiled at it, and went on.",
                "{hero*} cometió un pequeño error, sonrió y siguió adelante.",
            ),
        ),
        (
            (
                '"Close your eyes," said {mentor*}. "Forget that anyone is looking."',
                "—Cierra los ojos —dijo {mentor*}—. Olvida que te miran.",
            ),
            (
                "{hero*} closed {his hero} eyes for a moment, and forgot the people.",
                "{hero*} cerró los ojos un momento y se olvidó de la gente.",
            ),
        ),
        (
            (
                '"Do it for someone you love," said {mentor*}, "and you will see how easy it is."',
                "—Hazlo para alguien a quien quieras —dijo {mentor*}—, y verás qué fácil es.",
            ),
            (
                "{hero*} thought of {elder*}, who was sitting in the first row, and everything came by itself.",
                "{hero*} pensó en {elder*}, que estaba en la primera fila, y todo salió solo.",
            ),
        ),
        (
            (
                '"A little every day," said {mentor*}. "The river carved the valley that way."',
                "—Un poco cada día —dijo {mentor*}—. Así talló el río el valle.",
            ),
            (
                "A little every day had been enough: {hero*} did not fail once.",
                "Un poco cada día había bastado: {hero*} no falló ni una vez.",
            ),
        ),
    )
)

OUTLINE = """
open hobby? wish
fail/fail_laughed low~
offer?
meet
advice
practice
day used
praise
gift?
end/hobby_end/temper_end
"""

WORDINGS = {
    "title": wordings(
        ("How {name hero} Learned to {inf skill}", "Cómo {name hero} aprendió a {inf skill}"),
        ("{name mentor}'s Advice", "El consejo de {name mentor}"),
        ("{name hero} Tries Again", "{name hero} vuelve a intentarlo"),
    ),
    "wish": wordings(
        (
            "{hero} wanted to learn to {inf skill} more than anything in the world.",
            "{hero} quería aprender a {inf skill} más que nada en el mundo.",
        ),
        (
            "{elder*} knew how to {inf skill}, and {hero*} dreamed of doing it too.",
            "{elder*} sabía {inf skill}, y {hero*} soñaba con hacerlo también.",
        ),
        (
            "Everyone in town could {inf skill}, except {hero*}.",
            "En el pueblo todos sabían {inf skill}, menos {hero*}.",
        ),
    ),
    "fail": wordings(
        (
            "{=when}, {hero} tried to {inf skill} for the first time, and it was a disaster.",
            "{=when}, {hero} intentó {inf skill} por primera vez, y fue un desastre.",
        ),
        (
            "{=when}, {hero} practiced alone {at place}, and ten times it went wrong.",
            "{=when}, {hero} practicó a solas {en place}, y diez veces le salió mal.",
        ),
    ),
    "fail_laughed": wordings(
        (
            "{=when}, {hero} tried to {inf skill}, but the others laughed so much that {he hero} ran away.",
            "{=when}, {hero} intentó {inf skill}, pero los demás se rieron tanto que salió corriendo.",
        ),
    ),
    "offer": wordings(
        ('"I am good for nothing," said {hero*} in a low voice.', "—No sirvo para nada —dijo {hero*} en voz baja."),
        ('"I will never learn to {inf skill}," sighed {hero*}.', "—Nunca aprenderé a {inf skill} —suspiró {hero*}."),
    ),
    "meet": wordings(
        ("{intro mentor} had seen it all and came closer.", "{intro mentor} lo había visto todo y se acercó."),
        (
            "Then {intro mentor}, who was passing by, sat down next to {hero*}.",
            "Entonces {intro mentor}, que pasaba por allí, se sentó al lado {del hero}.",
        ),
        ("Not far away, {intro mentor} was watching in silence.", "No muy lejos, {intro mentor} miraba en silencio."),
    ),
    "practice": wordings(
        (
            "From then on, {mentor*} came every afternoon to practice with {him hero} {at place}.",
            "Desde entonces, {mentor*} iba todas las tardes a practicar con {él hero} {en place}.",
        ),
        (
            "{hero*} practiced for a month, in the sun and in the rain.",
            "{hero*} practicó durante un mes, con sol y con lluvia.",
        ),
        ("Day after day, {hero*} started again {at place}.", "Día tras día, {hero*} volvía a empezar {en place}."),
        (
            "For weeks {hero*} practiced until {mentor*} said that it was enough.",
            "Durante semanas {hero*} practicó hasta que {mentor*} dijo que era suficiente.",
        ),
    ),
    "day": wordings(
        (
            "{=later}, at the village feast, {hero} had to {inf skill} in front of everyone.",
            "{=later}, en la fiesta del pueblo, a {name hero} le tocó {inf skill} delante de todos.",
        ),
        (
            "{=later}, the whole town came to see {hero*} {inf skill}.",
            "{=later}, toda la ciudad vino a ver a {name hero} {inf skill}.",
        ),
    ),
    "praise": wordings(
        ('"Bravo!" shouted {elder*}, and everyone clapped.', "—¡Bravo! —gritó {elder*}, y todos aplaudieron."),
        (
            '"Who taught you?" asked {elder*}. "That was wonderful!"',
            "—¿Quién te ha enseñado? —preguntó {elder*}—. ¡Ha sido maravilloso!",
        ),
        (
            '"Now you can teach others," said {mentor*} proudly.',
            "—Ahora puedes enseñar a otros —dijo {mentor*} con orgullo.",
        ),
    ),
    "gift": wordings(
        (
            "To say thank you, {hero*} gave {mentor*} {a thing}.",
            "Para dar las gracias, {hero*} le regaló {al mentor} {un thing}.",
        ),
        (
            "That same night {mentor*} gave {him hero} {a thing} as a prize.",
            "Aquella misma noche, {mentor*} le dio {al hero} {un thing} como premio.",
        ),
    ),
}


def plot(draw: Draw) -> Plot:
    """Draws what is learned, who teaches, and the advice that helps."""
    hero, elder, mentor = draw.hero(), draw.elder(), draw.neighbor()
    roles = common_roles(draw, hero)
    said, used = draw.one(ADVICE)
    roles.actions["skill"] = draw.one(SKILLS)
    roles.entities |= {"elder": elder, "mentor": mentor, "place": draw.place(PLACES), "thing": draw.thing(TREASURES)}
    roles.phrases["later"] = draw.one(MUCH_LATER)
    advice = {"advice": (said,), "used": (used,)}
    return build_plot("lesson", OUTLINE, (advice, WORDINGS, SHARED), roles, draw)
