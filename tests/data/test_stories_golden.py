# ruff: noqa: E501 - the story is shown as it is told
"""One story, read and corrected by hand in both languages: any change of the generator shows here.

If the change is meant, read the new texts as a reader of each language would before copying them in.
"""

from __future__ import annotations

import os
import subprocess
import sys

from loquela.data.stories.story import story

ENGLISH = """\
Where Is the Teapot?

There was once a stubborn girl named Rita who lived in a valley full of apple trees. Her greatest treasure was a teapot, a present from Aunt Diana.
One foggy morning, the teapot was gone. Rita was so sad that she could not say a word.
"Have you seen my teapot?" Rita asked a thin clown named Simón.
"I saw a teapot at the castle this morning," said Simón, "but I did not know whose it was."
Simón put an umbrella in her bag, just in case.
The girl said goodbye and went off toward the castle. Suddenly the sky turned black and hailstones as big as nuts began to fall. She hid under a bush, but the leaves were no use at all. Then she opened the umbrella and walked on under the drumming sky.
Rita searched every corner of the castle, and at last she found the teapot. It was covered with mud, but not broken.
"Thank you!" Rita said to Simón on the way back. "Without you and your umbrella I would still be crying."
Years later, Rita still laughed when she thought of it."""

SPANISH = """\
¿Dónde está la tetera?

Hubo una vez una niña terca llamada Rita que vivía en un valle lleno de manzanos. Su mayor tesoro era una tetera, regalo de la tía Diana.
Una mañana de niebla, la tetera había desaparecido. Rita se sentía tan triste que no podía decir ni una palabra.
—¿Has visto mi tetera? —le preguntó Rita a un payaso delgado llamado Simón.
—Esta mañana vi una tetera en el castillo —dijo Simón—, pero no sabía de quién era.
Por si acaso, Simón le metió un paraguas en la bolsa.
La niña se despidió y se fue hacia el castillo. De pronto el cielo se puso negro y empezó a caer granizo gordo como nueces. Se escondió bajo un arbusto, pero las hojas no servían de nada. Entonces abrió el paraguas y siguió andando bajo aquel estruendo.
Rita registró cada rincón del castillo y por fin encontró la tetera. Estaba llena de barro, pero no rota.
—¡Gracias! —le dijo Rita a Simón a la vuelta—. Sin ti y sin tu paraguas, todavía estaría llorando.
Años después, Rita todavía se reía al recordarlo."""


def test_the_golden_story() -> None:
    told = story(0, 1)
    assert told.english == ENGLISH
    assert told.spanish == SPANISH
    assert (told.title, told.spanish_title) == ("Where Is the Teapot?", "¿Dónde está la tetera?")


def test_another_process_with_other_hashes_tells_the_same() -> None:
    program = "import sys; from loquela.data.stories.story import story; sys.stdout.buffer.write(story(0, 1).spanish.encode())"
    for hash_seed in ("0", "12345"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
        assert told.stdout.decode("utf-8") == SPANISH
