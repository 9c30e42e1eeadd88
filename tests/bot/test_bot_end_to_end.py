"""`loquela serve` and `loquela bot` as programs: a recipe sent from Discord is trained, watched and finished."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import yaml
from test_bot_crash import PROGRAM

from discord_server import OWNER, TOKEN
from served import Served
from worker_runs import recipe


@pytest.mark.slow
def test_a_run_from_an_attachment_to_its_end(fake, tmp_path):
    served = Served(tmp_path)
    bot = None
    try:
        made = recipe(tmp_path, epochs=6)
        (served.data / "corpus" / "story.txt").write_bytes((tmp_path / "story.txt").read_bytes())
        made["data"]["sources"] = ["story.txt"]
        bot = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, fake.api, fake.gateway.address, "--server", served.address],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
            env={**os.environ, "DISCORD_TOKEN": TOKEN, "DISCORD_OWNER_ID": str(OWNER), "PYTHONUNBUFFERED": "1",
                 "LOQUELA_API_KEY": served.key},
        )  # fmt: skip
        assert "is connected to Discord" in bot.stdout.readline()
        told = fake.ask("train", recipe=("tiny.yaml", yaml.safe_dump(made).encode())).answer()
        assert told["embeds"][0]["title"].endswith(": queued"), told
        card = fake.until(lambda: fake.to(OWNER))[0]
        ends = (": finished", ": failed", ": interrupted; it goes on by itself")
        rung = fake.until(lambda: [one for one in fake.to(OWNER) if one.embed["title"].endswith(ends)], 200)[0]
        assert rung.embed["title"].endswith(": finished"), rung.text
        fake.until(lambda: "Finished." in card.embed["description"])
        (run,) = served.get("/runs")["runs"]
        status = fake.ask("status", run=run["run_id"])
        (embed,) = status.answer()["embeds"]
        fields = {one["name"]: one["value"] for one in embed["fields"]}
        assert float(fields["Loss"]) > 0
        assert "perplexity" in fields["Held out"]
        assert fields["Last checkpoint"].startswith("step ")
        assert "100 %" in embed["description"]
        assert status.files["loss.png"].startswith(b"\x89PNG")
        assert "evaluated at step" in card.text
        everything = "".join(one.text for one in fake.messages) + status.text
        assert "fox" not in everything
        assert str(tmp_path) not in everything
        assert "story.txt" not in everything
        bot.send_signal(signal.SIGINT)
        _, err = bot.communicate(timeout=100)
        assert bot.returncode == 0
        # A busy machine answers heartbeats late, and discord.py says so.
        expected = ("may do everything", "Can't keep up")
        assert [line for line in err.splitlines() if not any(said in line for said in expected)] == []
    finally:
        if bot is not None:
            bot.kill()
            bot.communicate()
        assert served.stop() == 0
