"""The group of all commands, and the one place where an outcome becomes text and an exit code.

Only click is imported here: `loquela --help` answers before a tensor library, or even the recipe schema, is loaded.
"""

from __future__ import annotations

import importlib
import io
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from loquela.cli.where import refuse_here_only, served_commands

COMMANDS = {
    "init": ("loquela.cli.init", "Write a commented recipe for your text or your documents."),
    "demo": ("loquela.cli.demo.command", "See a whole flow at work on this machine."),
    "validate": ("loquela.cli.validate", "Check a recipe and report every problem at once."),
    "plan": (
        "loquela.cli.plan",
        "Predict memory, tokens, minutes and disk before a run; of a fine-tuning also the price on GPU types.",
    ),
    "launch": ("loquela.cli.launch", "Run a recipe on a rented machine, within a spending cap."),
    "run": ("loquela.cli.run", "Execute a whole recipe: corpus, tokenizer, training, evaluation, exports."),
    "prepare-data": (
        "loquela.cli.prepare_data",
        "Read the sources of a recipe, train its tokenizer, write its shards.",
    ),
    "train": ("loquela.cli.train", "Execute a recipe up to the trained model."),
    "resume": ("loquela.cli.resume", "Go on with a run from its newest whole checkpoint."),
    "evaluate": ("loquela.cli.evaluate", "Evaluate the model of a recipe, making first what it still lacks."),
    "generate-qa": ("loquela.cli.generate_qa", "Make questions and answers with evidence from a recipe's documents."),
    "prepare-examples": (
        "loquela.cli.prepare_examples",
        "Read the rows that the recipe's section examples names, and show what became of them.",
    ),
    "data": ("loquela.cli.data", "Look at prepared data: how it became, what is in it, where it came from."),
    "generate": ("loquela.cli.generate", "Write text with a trained model."),
    "chat": ("loquela.cli.chat", "Talk with a trained model."),
    "score": ("loquela.cli.score", "Measure how well a model expects a text."),
    "deploy-check": ("loquela.cli.deploy_check", "Prove that an exported bundle is whole, right and fast enough."),
    "promote": ("loquela.cli.promote", "Mark the bundle that passed its check as the one in use."),
    "export": ("loquela.cli.export", "Export a trained model and prove how near the export is to it."),
    "merge-adapter": (
        "loquela.cli.merge_adapter",
        "Merge an adapter into its base and prove that the merged model answers as the two do.",
    ),
    "verify": ("loquela.cli.verify", "Prove that a run, or an artifact, on disk is still what it was."),
    "serve": ("loquela.cli.serve", "Serve runs over HTTP: API, a worker and its database in one folder."),
    "worker": ("loquela.cli.worker", "Work on the runs that a service has queued."),
    "artifacts": (
        "loquela.cli.artifacts",
        "List, download, verify, clean up and bring back what a service has stored of its runs.",
    ),
    "alerts": (
        "loquela.cli.alerts",
        "Show who is told what goes wrong in a run, try it, and see what was told.",
    ),
    "audit": ("loquela.cli.audit", "Show and prove the audit log of a service."),
    "keys": ("loquela.cli.keys", "Make, list and revoke the keys of a service."),
    "bot": ("loquela.cli.bot", "Train and watch runs from Discord, in direct messages of their owner."),
    "runs": ("loquela.cli.runs", "List, show, compare and watch runs."),
    "jobs": ("loquela.cli.jobs", "List, show, watch, stop and go on with the jobs of a service."),
    "config": ("loquela.cli.config", "Show, explain, migrate and import recipes."),
    "schema": ("loquela.cli.schema", "Print the JSON Schema of a recipe, request, result or event."),
    "credentials": ("loquela.cli.credentials", "Keep the secrets that sources ask for by name."),
    "doctor": ("loquela.cli.doctor", "Check this machine: packages, device, threads, memory, disk."),
}
"""Name → module that holds `command`, and the first sentence of its help."""

INTERRUPTED = 130

HELP = f"""Train, evaluate and use language models. Proven, or it stops.

With --server, these are carried out by a service: {served_commands()}.

Exit codes: 0 done, 2 recipe or options, 3 data, 4 machine, 5 a proof or budget failed, 70 our bug, 75 stopped
and resumable, 130 interrupted.
"""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, not when they are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        refuse_here_only(ctx, args[0])
        if args[0] in COMMANDS or args[0].startswith("-"):
            return super().resolve_command(ctx, args)
        from loquela.core.near_names import unknown_name

        raise click.UsageError(unknown_name("command", args[0], COMMANDS), ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    help=HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExample:\n  loquela init my.yaml\n  loquela run my.yaml\n  loquela generate latest --prompt 'Once'",
)
@click.option(
    "--server", metavar="URL", help="Ask the service at this address to do it; its key is in LOQUELA_API_KEY."
)
@click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --server: the file that holds the key, instead of LOQUELA_API_KEY.",
)
@click.version_option(package_name="loquela", prog_name="loquela")
def group(server: str | None, key_file: Path | None) -> None:
    """What all commands share."""


def main() -> None:
    """Entry point of the `loquela` program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal without UTF-8 shows a question mark; it must not end the run.
            stream.reconfigure(errors="replace")
    code = answer(sys.argv[1:])
    # The outcome is told; a Ctrl+C more must not turn the interpreter's shutdown into a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


def answer(arguments: Sequence[str]) -> int:
    """Carry out one command line and return its exit code; every outcome is told, none is a traceback."""
    try:
        code = group.main(args=list(arguments), prog_name="loquela", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except click.Abort:
        click.echo("stopped before it was done; nothing half-written is left", err=True)
        return INTERRUPTED
    except Exception as error:
        from loquela.cli.failures import tell

        return tell(error, as_json="--json" in arguments)
