# ruff: noqa: E501 - one sentence of the tables stays on one line
"""A friend is hiding something, and it is not what it seems."""

from __future__ import annotations

from typing import NamedTuple

from loquela.data.stories.draw import Draw, pair
from loquela.data.stories.entities import Phrase, Plot
from loquela.data.stories.plotting import build_plot, wordings
from loquela.data.stories.shared import SHARED, common_roles
from loquela.data.stories.things import PLACES, TREASURES


class Secret(NamedTuple):
    """A clue, what is discovered, how the friend explains it, and what follows."""

    clue: Phrase
    truth: Phrase
    reason: Phrase
    after: Phrase


SECRETS = tuple(
    Secret(*(Phrase(*row) for row in rows))
    for rows in (
        (
            (
                "{friend} had paint on both ears and would not say why.",
                "{friend} tenía pintura en las dos orejas y no quería decir por qué.",
            ),
            (
                "There was {friend*}, decorating {a thing} with {hero's} name.",
                "Allí estaba {friend*}, decorando {un thing} con el nombre {del hero}.",
            ),
            (
                '"It was for your birthday," sighed {friend*}. "Now it will not be a surprise."',
                "—Era para tu cumpleaños —suspiró {friend*}—. Ahora ya no será una sorpresa.",
            ),
            (
                "On the birthday, {hero*} opened the parcel and pretended to be very surprised.",
                "El día del cumpleaños, {hero*} abrió el paquete y fingió una enorme sorpresa.",
            ),
        ),
        (
            (
                "{friend} always carried a piece of bread hidden in a pocket.",
                "{friend} llevaba siempre un trozo de pan escondido en el bolsillo.",
            ),
            (
                "There, in a box full of straw, {friend*} was feeding a bird with a broken wing.",
                "Allí, en una caja llena de paja, {friend*} daba de comer a un pájaro con un ala rota.",
            ),
            (
                '"I told nobody because noise frightens it," whispered {friend*}.',
                "—No se lo conté a nadie porque el ruido lo asusta —susurró {friend*}.",
            ),
            (
                "They took turns to look after the bird, and in spring it flew away over their heads.",
                "Cuidaron del pájaro por turnos, y en primavera se fue volando por encima de sus cabezas.",
            ),
        ),
        (
            (
                "Strange squeaky sounds followed {him friend} home every night.",
                "Unos chirridos extraños {lo friend} acompañaban a casa cada noche.",
            ),
            (
                "There stood {friend*}, playing the violin, so badly that the crickets had left.",
                "Allí estaba {friend*}, tocando el violín, tan mal que los grillos se habían ido.",
            ),
            (
                '"I wanted to learn a song for you," said {friend*}, "but it sounds like a rusty door."',
                "—Quería aprender una canción para ti —dijo {friend*}—, pero suena como una puerta oxidada.",
            ),
            (
                "From then on {hero*} sang and {friend*} played, and little by little the crickets came back.",
                "Desde entonces {hero*} cantaba y {friend*} tocaba, y poco a poco volvieron los grillos.",
            ),
        ),
        (
            (
                "{friend} had earth under {his friend} nails, even on Sundays.",
                "{friend} tenía tierra en las uñas hasta los domingos.",
            ),
            (
                "There was {friend*}, watering a tiny garden of strawberries among the stones.",
                "Allí estaba {friend*}, regando un huertecillo de fresas entre las piedras.",
            ),
            (
                '"{elder*} used to love strawberries," said {friend*}. "I want to bring back the old garden."',
                "—{al elder} le encantaban las fresas —dijo {friend*}—. Quiero recuperar su antiguo huerto.",
            ),
            (
                "In June they carried the first basket to {elder*}, who wept with joy.",
                "En junio le llevaron la primera cesta {al elder}, que lloró de alegría.",
            ),
        ),
        (
            (
                "{friend} counted coins in a corner and hid them when anybody came.",
                "{friend} contaba monedas en un rincón y las escondía cuando venía alguien.",
            ),
            (
                "There was {friend*}, washing dishes in a small inn for a few coins.",
                "Allí estaba {friend*}, fregando platos en una pequeña posada por unas monedas.",
            ),
            (
                '"My family needs a new stove before the winter," said {friend*}. "I did not want anyone to feel sorry for us."',
                "—Mi familia necesita una estufa nueva antes del invierno —dijo {friend*}—. No quería dar pena.",
            ),
            (
                "{hero*} sold {a thing} without a word, and the two of them earned the rest together.",
                "{hero*} vendió {un thing} sin decir nada, y entre l{o both} dos ganaron lo que faltaba.",
            ),
        ),
        (
            (
                "Every day {friend} left with an empty notebook and came back with ink on every finger.",
                "Cada día {friend} salía con un cuaderno vacío y volvía con los dedos llenos de tinta.",
            ),
            (
                "There sat {friend*}, slowly copying letters in the sand.",
                "Allí estaba {friend*}, copiando despacio letras en la arena.",
            ),
            (
                '"I never learned to read," said {friend*} with lowered eyes. "I was ashamed."',
                "—Nunca aprendí a leer —dijo {friend*} con la mirada baja—. Me daba vergüenza.",
            ),
            (
                "They read together every afternoon, and soon {friend*} wrote a first letter: it was for {hero*}.",
                "Leyeron junt{o both} cada tarde, y pronto {friend*} escribió su primera carta: era para {hero*}.",
            ),
        ),
        (
            (
                "{friend} smelled of the sea and jumped at every whistle.",
                "{friend} olía a mar y daba un salto cada vez que sonaba un silbato.",
            ),
            (
                "There was {friend*}, mending an old boat plank by plank.",
                "Allí estaba {friend*}, arreglando una vieja barca tabla a tabla.",
            ),
            (
                '"I wanted to take you to the island you always talk about," said {friend*}.',
                "—Quería llevarte a esa isla de la que siempre hablas —dijo {friend*}.",
            ),
            (
                "When summer came, they rowed to the island and named the boat after {elder*}.",
                "Cuando llegó el verano, remaron hasta la isla y le pusieron a la barca el nombre {del elder}.",
            ),
        ),
    )
)

OUTLINE = """
open friends
strange clue
ask_why
evade
low jealous?
advice?
follow
truth
reason
hug/sorry
after glad?
end/hobby_end/temper_end
"""

WORDINGS = {
    "title": wordings(
        ("{name friend}'s Secret", "El secreto de {name friend}"),
        ("What Was {name friend} Hiding?", "¿Qué escondía {name friend}?"),
        ("{name hero} and the Secret", "{name hero} y el secreto"),
    ),
    "friends": wordings(
        ("Every afternoon {hero} played with {intro friend}.", "Todas las tardes {hero} jugaba con {intro friend}."),
        (
            "{hero} had no secrets from {intro friend}, or so it seemed.",
            "{hero} no tenía secretos para {intro friend}, ni al revés, o eso parecía.",
        ),
        (
            "{hero} shared everything with {intro friend}: the games, the jokes and the last cookie.",
            "{hero} lo compartía todo con {intro friend}: los juegos, las bromas y la última galleta.",
        ),
    ),
    "strange": wordings(
        ("But lately {friend*} was always in a hurry.", "Pero últimamente {friend*} tenía siempre prisa."),
        ("{=when}, however, {friend*} did not come to play.", "{=when}, sin embargo, {friend*} no vino a jugar."),
        (
            "But for a week {friend*} had been disappearing after lunch.",
            "Pero desde hacía una semana {friend*} desaparecía después de comer.",
        ),
    ),
    "ask_why": wordings(
        ('"Where do you go every day?" asked {hero*}.', "—¿Adónde vas todos los días? —preguntó {hero*}."),
        ('"Are you keeping something from me?" asked {hero*}.', "—¿Me estás ocultando algo? —preguntó {hero*}."),
        ('"Shall we play this afternoon?" asked {hero*}.', "—¿Jugamos esta tarde? —preguntó {hero*}."),
    ),
    "evade": wordings(
        (
            '"I cannot tell you," said {friend*}, and walked faster.',
            "—No te lo puedo decir —dijo {friend*}, y apretó el paso.",
        ),
        (
            '"Not today. I have things to do," answered {friend*}.',
            "—Hoy no. Tengo cosas que hacer —respondió {friend*}.",
        ),
        ('"Please do not ask me," said {friend*}.', "—No me preguntes, por favor —dijo {friend*}."),
    ),
    "jealous": wordings(
        (
            "Perhaps {friend*} did not want to be friends anymore, {hero*} thought.",
            "Quizá {friend*} ya no quería jugar más, pensó {hero*}.",
        ),
        (
            "Perhaps, {hero*} thought, it was all because of something silly that {he hero} had said.",
            "Quizá, pensó {hero*}, todo era por alguna tontería que había dicho sin querer.",
        ),
    ),
    "advice": wordings(
        (
            '"Before you get angry, find out the truth," said {elder*}.',
            "—Antes de enfadarte, averigua la verdad —dijo {elder*}.",
        ),
        ('"Not all secrets are bad," said {elder*}.', "—No todos los secretos son malos —dijo {elder*}."),
    ),
    "follow": wordings(
        (
            "{=later}, {hero} followed {friend*} from a distance, and they ended up {at place}.",
            "{=later}, {hero} siguió {al friend} de lejos, y así acabaron {en place}.",
        ),
        (
            "{=later}, {hero} hid {at place} and waited, hardly breathing.",
            "{=later}, {hero} se escondió {en place} y esperó, casi sin respirar.",
        ),
        (
            "{=later}, some footprints led {hero*} to {the place}.",
            "{=later}, unas huellas llevaron {al hero} hasta {el place}.",
        ),
    ),
    "hug": wordings(
        (
            '"And I thought that you did not like me anymore!" said {hero*}.',
            "—¡Y yo que pensaba que ya no me querías! —dijo {hero*}.",
        ),
        ('"Your secret is safe with me," said {hero*}.', "—Conmigo tu secreto está a salvo —dijo {hero*}."),
    ),
    "sorry": wordings(
        (
            '"Forgive me for following you," said {hero*}. "May I help?"',
            "—Perdóname por seguirte —dijo {hero*}—. ¿Puedo ayudar?",
        ),
        ('"I should have trusted you," said {hero*}.', "—Tendría que haber confiado en ti —dijo {hero*}."),
    ),
}


def plot(draw: Draw) -> Plot:
    """Draws two friends and the secret between them."""
    hero, friend = draw.hero(), draw.friend()
    roles = common_roles(draw, hero)
    secret = draw.one(SECRETS)
    roles.entities |= {"friend": friend, "both": pair(hero, friend), "elder": draw.elder(), "place": draw.place(PLACES)}
    roles.entities["thing"] = draw.thing(TREASURES)
    events = {
        "clue": (secret.clue,),
        "truth": (secret.truth,),
        "reason": (secret.reason,),
        "after": (secret.after,),
    }
    return build_plot("secret", OUTLINE, (events, WORDINGS, SHARED), roles, draw)
