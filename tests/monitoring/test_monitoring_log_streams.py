"""Two streams, JSON or text; whole lines whoever writes; no secret and no place of the machine."""

import json
import multiprocessing

from loquela.monitoring.log_streams import LogStreams


def lines(path):
    return path.read_text(encoding="utf-8").splitlines()


def test_json_lines_without_secrets_and_places(tmp_path):
    logs = LogStreams(tmp_path / "my logs", places={"/srv/data": "<data>", "/srv/data/secret": "<keys>"})
    logs.log_system(
        "error", "cannot read /srv/data/secret/x", {"password": "hunter2", "run_id": "a", "error_code": "OOM"}
    )
    logs.log_llm_interaction("inference", "generation.answered.v1", {"tokens": 3, "text": "one\ntwo \x1b[31m"})
    (told,) = lines(logs.system_path)
    assert json.loads(told) | {"timestamp": ""} == {
        "timestamp": "", "level": "error", "message": "cannot read <keys>/x",
        "context": {"password": "[secret]", "run_id": "a", "error_code": "OOM"},
    }  # fmt: skip
    (said,) = lines(logs.interaction_path)
    assert json.loads(said)["data"]["text"] == "one\ntwo \x1b[31m"
    assert "\x1b" not in said


def test_text_for_people_stays_one_line(tmp_path):
    logs = LogStreams(tmp_path, form="text")
    logs.log_system("warning", "a line\nand\x1b[31m another", {"run_id": "a b", "empty": None})
    (line,) = lines(logs.system_path)
    assert line.split(" ", 1)[1] == 'warning a line\\nand\\x1b[31m another run_id="a b"'


def write(folder, who):
    logs = LogStreams(folder, largest_bytes=2_000, kept=20)
    for number in range(60):
        logs.log_system("info", f"{who} {number}", {})


def test_several_processes_lose_no_line_when_the_file_is_turned_over(tmp_path):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write, args=(tmp_path, who)) for who in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    files = sorted(tmp_path.glob("system.log*"))
    told = [json.loads(line)["message"] for file in files for line in lines(file)]
    assert len(files) > 3 and sorted(told) == sorted(f"{who} {number}" for who in "abc" for number in range(60))


def test_only_so_many_are_kept(tmp_path):
    logs = LogStreams(tmp_path, largest_bytes=200, kept=2)
    for number in range(30):
        logs.log_system("info", f"line {number}", {})
    assert sorted(path.name for path in tmp_path.glob("system.log*")) == ["system.log", "system.log.1", "system.log.2"]
    assert "line 29" in lines(logs.system_path)[-1]
