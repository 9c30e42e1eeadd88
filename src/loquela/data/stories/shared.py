"""Wording that many plots share: homes, times, openings, feelings, thanks and endings."""

from __future__ import annotations

from loquela.data.stories.cast import GLAD, SAD
from loquela.data.stories.draw import Draw
from loquela.data.stories.entities import Entity, Phrase
from loquela.data.stories.plotting import Roles, wordings
from loquela.data.stories.things import HOBBIES

HOMES = wordings(
    ("in a small village by the sea", "en un pequeño pueblo junto al mar"),
    ("at the edge of a deep forest", "al borde de un bosque profundo"),
    ("in a house with a red door", "en una casa de puerta roja"),
    ("in a valley full of apple trees", "en un valle lleno de manzanos"),
    ("on an island where it hardly ever rained", "en una isla donde casi nunca llovía"),
    ("in a town of narrow streets", "en una ciudad de calles estrechas"),
    ("at the foot of a white mountain", "al pie de una montaña blanca"),
    ("beside a slow green river", "a orillas de un río verde y lento"),
    ("near an old railway station", "cerca de una vieja estación de tren"),
    ("in a cottage among the wheat fields", "en una casita entre campos de trigo"),
    ("in a village where everyone knew everyone", "en un pueblo donde todos se conocían"),
    ("above a shop that smelled of cinnamon", "encima de una tienda que olía a canela"),
    ("at the end of a long dusty road", "al final de un largo camino de tierra"),
    ("in a harbor town full of gulls", "en un puerto lleno de gaviotas"),
    ("between two gentle hills", "entre dos colinas suaves"),
    ("not far from a quiet lake", "no lejos de un lago tranquilo"),
    ("behind the old theater", "detrás del viejo teatro"),
    ("in a wooden house with a blue roof", "en una casa de madera con el tejado azul"),
    ("on the sunny side of a mountain", "en la ladera soleada de una montaña"),
    ("where the road meets the sea", "allí donde el camino se encuentra con el mar"),
    ("beside a noisy train line", "junto a una ruidosa vía de tren"),
    ("in a country of long winters", "en un país de largos inviernos"),
    ("at the top of a hundred stairs", "en lo alto de cien escalones"),
    ("next to a field of lavender", "al lado de un campo de lavanda"),
    ("in the tallest house on the square", "en la casa más alta de la plaza"),
    ("under the branches of a giant oak", "bajo las ramas de un roble gigante"),
)

WHEN = wordings(
    ("One cold morning", "Una mañana fría"),
    ("One spring afternoon", "Una tarde de primavera"),
    ("On the first day of autumn", "El primer día de otoño"),
    ("One Sunday", "Un domingo"),
    ("One windy day", "Un día de viento"),
    ("On a bright summer morning", "Una luminosa mañana de verano"),
    ("After a night of rain", "Después de una noche de lluvia"),
    ("One day, just before lunch", "Un día, justo antes de comer"),
    ("On the day of the fair", "El día de la feria"),
    ("One foggy morning", "Una mañana de niebla"),
    ("One Thursday, very early", "Un jueves, muy temprano"),
    ("At the end of the winter", "Al final del invierno"),
    ("One evening, when the lamps were already lit", "Una noche, cuando ya estaban encendidas las lámparas"),
    ("Two days before the harvest feast", "Dos días antes de la fiesta de la cosecha"),
    ("One night of full moon", "Una noche de luna llena"),
    ("On the last day of school", "El último día de clase"),
    ("Early one Monday", "Un lunes, a primera hora"),
    ("One snowy afternoon", "Una tarde de nieve"),
    ("The day after the carnival", "El día después del carnaval"),
    ("While the bells were ringing for noon", "Mientras las campanas daban las doce"),
    ("One gray afternoon in November", "Una tarde gris de noviembre"),
    ("One hot afternoon", "Una tarde calurosa"),
    ("On the longest day of the year", "El día más largo del año"),
)

LATER = wordings(
    ("The next morning", "A la mañana siguiente"),
    ("A week later", "Una semana después"),
    ("Three days later", "Tres días después"),
    ("Some time later", "Algún tiempo después"),
    ("When the moon was full again", "Cuando la luna volvió a estar llena"),
    ("Before the month was over", "Antes de que acabara el mes"),
    ("Not long afterwards", "Poco después"),
)

# After weeks of practice.
MUCH_LATER = wordings(
    ("Some time later", "Algún tiempo después"),
    ("One fine evening", "Una hermosa noche"),
    ("On the first Saturday of May", "El primer sábado de mayo"),
    ("At the end of the summer", "Al final del verano"),
    ("When the swallows came back", "Cuando volvieron las golondrinas"),
)

OPENING = {
    "open": wordings(
        ("Once upon a time, {intro hero} lived {=home}.", "Había una vez {intro hero} que vivía {=home}."),
        ("There was once {intro hero} who lived {=home}.", "Hubo una vez {intro hero} que vivía {=home}."),
        ("{intro hero} lived {=home}.", "{intro hero} vivía {=home}."),
        (
            "The grandparents tell of {intro hero} who lived {=home}.",
            "Cuentan los abuelos que {intro hero} vivía {=home}.",
        ),
        (
            "Everyone has heard of {intro hero}, who lived {=home}.",
            "Todos han oído hablar de {intro hero}, que vivía {=home}.",
        ),
        ("Many years ago, {intro hero} made a home {=home}.", "Hace muchos años, {intro hero} tenía su hogar {=home}."),
        (
            "{=home} lived {intro hero}, and everybody liked {him hero}.",
            "{=home} vivía {intro hero}, y todo el mundo {lo hero} quería.",
        ),
        (
            "This is the story of {intro hero}, who lived {=home}.",
            "Esta es la historia de {intro hero}, que vivía {=home}.",
        ),
    ),
    "hobby": wordings(
        ("{hero} loved {ing hobby}.", "{al hero} le encantaba {inf hobby}."),
        ("Every evening {hero} {past hobby}.", "Todas las noches se entretenía {ing hobby}."),
        (
            "In {his hero} free time, {hero} liked {ing hobby}.",
            "En sus ratos libres, {al hero} le gustaba {inf hobby}.",
        ),
        (
            "Nothing made {him hero} happier than {ing hobby}.",
            "Nada {lo hero} hacía más feliz que {inf hobby}.",
        ),
        (
            "People often saw {him hero} {ing hobby}.",
            "A menudo la gente {lo hero} veía {ing hobby}.",
        ),
    ),
}

FEELING = {
    "low": wordings(
        ("{hero} felt {adj low hero}.", "{hero} se sintió {adj low hero}."),
        ("{hero} had never felt so {adj low hero}.", "{hero} nunca se había sentido tan {adj low hero}."),
        (
            "{hero} was so {adj low hero} that {he hero} could not say a word.",
            "{hero} se sentía tan {adj low hero} que no podía decir ni una palabra.",
        ),
        (
            "{hero*}, more and more {adj low hero}, looked at the clouds in silence.",
            "{hero*}, cada vez más {adj low hero}, miraba las nubes en silencio.",
        ),
        ("A lump came to {hero's} throat.", "A {name hero} se le hizo un nudo en la garganta."),
        ("For a while {hero} did not know what to do.", "Durante un rato {hero} no supo qué hacer."),
        ("{hero} took a deep breath and tried not to cry.", "{hero} respiró hondo y trató de no llorar."),
    ),
    "low_road": wordings(
        ("{hero} sat down on a stone and sighed.", "{hero} se sentó en una piedra y suspiró."),
        ("{hero} wanted to give up and go home.", "{hero} quiso rendirse y volver a casa."),
        ("{hero} was tired and {adj low hero}.", "{hero} estaba sin fuerzas y se sentía {adj low hero}."),
        ("{hero} felt {adj low hero}.", "{hero} se sintió {adj low hero}."),
    ),
    "glad": wordings(
        ("{hero} felt {adj glad hero}.", "{hero*} se sintió {adj glad hero}."),
        (
            "{hero} was so {adj glad hero} that {he hero} began to dance.",
            "{hero*} estaba tan {adj glad hero} que se puso a bailar.",
        ),
        (
            "{hero} laughed out loud, and the birds flew up in surprise.",
            "{hero*} soltó una carcajada, y los pájaros salieron volando del susto.",
        ),
        ("{hero} smiled from ear to ear.", "{hero*} sonrió de oreja a oreja."),
        ("{hero} clapped with joy.", "{hero*} aplaudió de alegría."),
        (
            "{hero*}, who was very {adj glad hero}, could not stop talking.",
            "{hero*}, que estaba muy {adj glad hero}, no paraba de hablar.",
        ),
        ("Never before had {hero*} been so {adj glad hero}.", "Nunca antes había estado {hero*} tan {adj glad hero}."),
        ("At last {hero} could breathe easily.", "Por fin {hero*} pudo respirar tranquil{o hero}."),
    ),
}

SETTING_OFF = {
    "set_off": wordings(
        ("{hero} set off at once for {the place}.", "{hero} se puso en camino enseguida hacia {el place}."),
        (
            "Without losing a minute, {hero} left for {the place}.",
            "Sin perder un minuto, {hero} salió hacia {el place}.",
        ),
        (
            "The way to {the place} was long, but {hero} walked fast.",
            "El camino hasta {el place} era largo, pero {hero} andaba deprisa.",
        ),
        (
            "{hero} closed the door and took the path to {the place}.",
            "{hero} cerró la puerta y tomó el camino {del place}.",
        ),
        ("{hero} said goodbye and went off toward {the place}.", "{hero} se despidió y se fue hacia {el place}."),
    ),
}

ENDING = {
    "end": wordings(
        (
            "Years later, {hero} still laughed when {he hero} thought of it.",
            "Años después, {hero} todavía se reía al recordarlo.",
        ),
        (
            "The next morning the sun came up as if nothing had happened, but for {hero*} everything was different.",
            "A la mañana siguiente el sol salió como si nada, pero para {hero*} todo era distinto.",
        ),
        (
            "{hero} drew a picture of it all and hung it over the bed.",
            "{hero} hizo un dibujo de todo aquello y lo colgó encima de la cama.",
        ),
        (
            "And so, step by step, {hero} walked home in the evening light.",
            "Y así, paso a paso, {hero} volvió a casa con la luz de la tarde.",
        ),
        (
            "Before falling asleep, {hero} whispered a thank you to the moon.",
            "Antes de dormirse, {hero} le susurró las gracias a la luna.",
        ),
        ("That night, {hero} slept better than ever.", "Aquella noche, {hero} durmió mejor que nunca."),
        ("{hero} never forgot that day.", "{hero} nunca olvidó aquel día."),
        (
            "And whenever it rained, {hero} told the story again.",
            "Y cada vez que llovía, {hero} volvía a contar la historia.",
        ),
        (
            "That evening they all had supper together under the stars.",
            "Aquella noche cenaron todos juntos bajo las estrellas.",
        ),
        (
            "When the first star came out, {hero} was still smiling.",
            "Cuando salió la primera estrella, {hero} todavía sonreía.",
        ),
        (
            "Since then, nobody there has been afraid to ask for help.",
            "Desde entonces, allí nadie tiene miedo de pedir ayuda.",
        ),
        (
            "That night {hero} could think of nothing else, and fell asleep smiling.",
            "Aquella noche {hero} no pudo pensar en otra cosa y se durmió con una sonrisa.",
        ),
        (
            "And from that day on, {hero} looked at the world with different eyes.",
            "Y desde aquel día, {hero} miró el mundo con otros ojos.",
        ),
    ),
    "hobby_end": wordings(
        (
            "That evening {hero} {past hobby} until it was time for bed.",
            "Aquella noche {hero} se entretuvo {ing hobby} hasta la hora de dormir.",
        ),
        (
            "The next day {hero} spent the whole morning {ing hobby}, and never stopped smiling.",
            "Al día siguiente {hero} pasó toda la mañana {ing hobby}, sin dejar de sonreír.",
        ),
        (
            "Now, when {hero} goes back to {ing hobby}, {he hero} always remembers that day.",
            "Ahora, cuando {hero} se pone a {inf hobby}, siempre recuerda aquel día.",
        ),
    ),
}

# What this adventure changed in a hero of each temper.
TEMPER_ENDINGS: dict[str, Phrase] = {
    english: Phrase(*pair)
    for english, pair in {
        "shy": ("From then on, {hero} spoke a little louder.", "Desde entonces, {hero} habló un poco más alto."),
        "brave": (
            "Even the brave need friends, {hero*} thought.",
            "Hasta los valientes necesitan amigos, pensó {hero*}.",
        ),
        "curious": (
            "And {hero}, as curious as ever, began to wonder about tomorrow.",
            "Y {hero*}, con la curiosidad de siempre, empezó a preguntarse por el mañana.",
        ),
        "kind": (
            "Kindness, {hero*} learned, always finds its way back.",
            "La bondad, aprendió {hero*}, siempre encuentra el camino de vuelta.",
        ),
        "patient": (
            "Once again, {his hero} patience had been worth it.",
            "Una vez más, su paciencia había valido la pena.",
        ),
        "clever": (
            "Being clever is good, {hero*} thought, but listening is better.",
            "Ser list{o hero} está bien, pensó {hero*}, pero escuchar es mejor.",
        ),
        "cheerful": (
            "{hero} went home with a song on {his hero} lips.",
            "{hero} volvió a casa con una canción en los labios.",
        ),
        "quiet": (
            "{hero} said little about it, but {his hero} eyes were shining.",
            "{hero} habló poco del asunto, pero le brillaban los ojos.",
        ),
        "stubborn": (
            "Stubborn as {hero} was, {he hero} had learned to listen.",
            "Por terc{o hero} que fuera, {hero} había aprendido a escuchar.",
        ),
        "proud": (
            "Since then, {hero} has never been too proud to ask for advice.",
            "Desde entonces, el orgullo no le impide a {name hero} pedir consejo.",
        ),
        "lazy": (
            "The next day, for the first time, {hero} got up before the sun.",
            "Al día siguiente, por primera vez, {hero} se levantó antes que el sol.",
        ),
        "careful": (
            "Careful as always, {hero} wrote it all down in a diary.",
            "Con la prudencia de siempre, {hero} lo anotó todo en un diario.",
        ),
        "restless": (
            "That night, for once, {hero} sat still and watched the fire.",
            "Aquella noche, por una vez, {hero} se quedó quiet{o hero} mirando el fuego.",
        ),
        "forgetful": (
            "{hero} forgot many things, but never that one.",
            "{hero} olvidaba muchas cosas, pero aquello nunca.",
        ),
        "generous": (
            "What you give is never lost, {hero*} liked to say.",
            "Lo que se da nunca se pierde, solía decir {hero*}.",
        ),
        "honest": (
            "When people asked, {hero} told the whole story, mistakes included.",
            "Cuando le preguntaban, {hero} lo contaba todo, hasta los errores.",
        ),
        "hardworking": (
            "The next morning {hero} went back to work, singing.",
            "A la mañana siguiente {hero} volvió al trabajo cantando.",
        ),
        "dreamy": ("That night {hero} dreamed it all over again.", "Aquella noche {hero} volvió a soñarlo todo."),
        "funny": (
            "And {hero} told it so well that everyone cried with laughter.",
            "Y {hero} lo contaba tan bien que todos lloraban de risa.",
        ),
        "impatient": (
            "Good things take time, and now {hero} knew it.",
            "Las cosas buenas llevan su tiempo, y ahora {hero} lo sabía.",
        ),
        "polite": (
            "Before going to bed, {hero} wrote a long letter of thanks.",
            "Antes de acostarse, {hero} escribió una larga carta de agradecimiento.",
        ),
        "gentle": (
            "{hero} smiled gently and gave everyone a kiss.",
            "{hero} sonrió con ternura y les dio un beso a todos.",
        ),
        "serious": (
            "And {hero}, always so serious, burst out laughing.",
            "Y {hero*}, siempre tan seri{o hero}, se echó a reír.",
        ),
        "clumsy": (
            "On the way home, clumsy as ever, {hero} fell into a puddle and laughed.",
            "De vuelta a casa, con la torpeza de siempre, {hero} se cayó en un charco y se rio.",
        ),
        "bold": (
            "Being bold, {hero*} learned, also means knowing when to wait.",
            "Tener valor, aprendió {hero*}, es también saber esperar.",
        ),
        "cautious": (
            "The world seemed a little less frightening to {him hero} now.",
            "Ahora el mundo le daba a {name hero} un poco menos de miedo.",
        ),
    }.items()
}

SHARED = {**OPENING, **FEELING, **SETTING_OFF, **ENDING, "temper_end": wordings(("{=temper}", "{=temper}"))}


def common_roles(draw: Draw, hero: Entity) -> Roles:
    """The roles every plot has: the hero, a hobby, two feelings, a home and two times."""
    temper = TEMPER_ENDINGS[hero.adjective.english] if hero.adjective else ENDING["end"][0]
    return Roles(
        entities={"hero": hero},
        adjectives={"low": draw.one(SAD), "glad": draw.one(GLAD)},
        actions={"hobby": draw.one(HOBBIES)},
        phrases={
            "home": draw.one(HOMES),
            "when": draw.one(WHEN),
            "later": draw.one(LATER),
            "temper": temper,
        },
    )
