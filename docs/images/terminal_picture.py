"""Terminal output as a PNG, colours included: python docs/images/terminal_picture.py CAPTURE.txt OUT.png TITLE"""

import sys
from pathlib import Path

from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

SIZE, MARGIN, TITLE = 18, 24, 34
BACKGROUND, FOREGROUND, BAR = (24, 26, 31), (214, 218, 224), (38, 41, 48)


def draw(capture: Path, target: Path, title: str) -> None:
    """One line of the capture is one line of the picture."""
    text = Text.from_ansi(capture.read_text(encoding="utf-8").rstrip())
    lines = text.split("\n", allow_blank=True)
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans Mono"), SIZE)
    braille = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), SIZE)
    cell, height = font.getlength("M"), round(SIZE * 1.36)
    columns = max(line.cell_len for line in lines)
    image = Image.new("RGB", (round(columns * cell) + 2 * MARGIN, len(lines) * height + 2 * MARGIN + TITLE), BACKGROUND)
    canvas = ImageDraw.Draw(image)
    canvas.rectangle((0, 0, image.width, TITLE), fill=BAR)
    for index, colour in enumerate(((237, 106, 94), (245, 191, 79), (98, 197, 84))):
        canvas.ellipse((16 + 22 * index, 11, 28 + 22 * index, 23), fill=colour)
    canvas.text((image.width / 2, TITLE / 2), title, font=font, fill=(150, 155, 165), anchor="mm")
    console = Console(color_system="truecolor", force_terminal=True, width=columns + 1)
    for row, line in enumerate(lines):
        column = 0
        for segment in line.render(console):
            colour = FOREGROUND
            if segment.style and segment.style.color:
                colour = tuple(segment.style.color.get_truecolor(MONOKAI))
            if segment.style and segment.style.dim:
                colour = tuple(round(0.6 * part + 0.4 * back) for part, back in zip(colour, BACKGROUND, strict=True))
            for sign in segment.text:
                if sign not in " \n":
                    chosen = braille if 0x2800 <= ord(sign) <= 0x28FF else font
                    place = (MARGIN + column * cell, MARGIN + TITLE + row * height)
                    canvas.text(place, sign, font=chosen, fill=colour)
                column += sign != "\n"
    target.parent.mkdir(parents=True, exist_ok=True)
    image.save(target, optimize=True)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "")
