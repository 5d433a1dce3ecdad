"""Settings: the order of their sources, what is refused and where, and that every flag that can be one is one."""

import json
import subprocess
import sys

import pytest
import typer

from dynscale_cli.cli import ask, parser
from dynscale_cli.cli.main import _run, app
from dynscale_cli.errors import UsageError
from dynscale_cli.settings import BUILT_IN, PLAIN, lines, setting
from dynscale_cli.values import read_toml
from tests.cli_process import environment

ROOT = typer.main.get_command(app)
KEYS = parser.keys(ROOT)
# Of one question or one run: where they read and write, and what a script that reads the answers has to rely on.
NO_SETTINGS = {
    "file",
    "context",
    "template",
    "stop",
    "limit",
    "whole",
    "json",
    "unordered",
    "show",
    "export",
    "profile",
    "help_all",
}


@pytest.fixture
def file(tmp_path):
    """The file of settings, in the folder that `conftest` sets."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home" / "config.toml"


@pytest.fixture
def run(monkeypatch, capsys):
    """The command in this process: its exit code, output and errors."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["dynscale", *arguments])
        code = _run()
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


@pytest.fixture
def asked(run, monkeypatch):
    """What `ask` was told, with everything in its place; nothing is run."""

    def call(*arguments):
        told = []
        monkeypatch.setattr(ask, "answer", lambda asking: told.append(asking) or 0)
        code, _, errors = run("ask", "Why?", *arguments)
        assert code == 0, errors
        return told[0]

    return call


def test_a_flag_goes_before_the_environment_a_profile_the_file_and_the_default(file, asked, monkeypatch):
    def temperature(*arguments):
        return asked(*arguments).temp

    assert temperature() == 0.8
    file.write_text("temp = 0.1\n[profile.warm]\ntemp = 0.2\n")
    assert temperature() == 0.1
    assert temperature("--profile", "warm") == 0.2
    monkeypatch.setenv("DYNSCALE_PROFILE", "warm")
    assert temperature() == 0.2
    monkeypatch.setenv("DYNSCALE_TEMP", "0.3")
    assert temperature("--profile", "warm") == 0.3
    assert temperature("--temp", "0.4") == 0.4


def test_a_profile_that_does_not_exist_is_named_where_it_was_written(run, monkeypatch):
    monkeypatch.setenv("DYNSCALE_PROFILE", "carefull")
    for command in (("ask", "-m", "none.gguf", "a"), ("config", "show")):
        code, _, said = run(*command)
        assert (code, said.splitlines()[-1].strip()) == (2, "try: export DYNSCALE_PROFILE=careful")


def test_a_byte_order_mark_does_not_matter(file, run):
    file.write_bytes(b"\xef\xbb\xbftemp = 0.5\n")
    assert run("config", "get", "temp") == (0, "0.5\n", "")
    assert run("config", "set", "top-k", "3")[0] == 0
    assert file.read_text() == "temp = 0.5\ntop-k = 3\n"


def test_switches_of_the_file_can_be_taken_back(file, asked):
    file.write_text("exhaust = true\nquiet = true\ncolor = false\n")
    assert (asked().exhaust, asked().quiet, asked().color) == (True, True, False)
    back = asked("--no-exhaust", "--no-quiet", "--color")
    assert (back.exhaust, back.quiet, back.color) == (False, False, True)


def test_a_profile_of_the_file_changes_one_that_comes_with_the_package(file, asked):
    file.write_text("[profile.careful]\ntemp = 0.2\n")
    careful = asked("--profile", "careful")
    assert careful.temp == 0.2
    assert careful.confidence == BUILT_IN["careful"]["confidence"]
    assert careful.cap().total(3) == 3 * 8192


def test_a_budget_is_for_all_questions_or_for_each(asked):
    assert asked().cap().total(3) == 3 * 2048
    assert asked("--budget", "2k/q").cap().total(3) == 6000
    assert asked("--budget", "2k").cap().total(3) == 2000


@pytest.mark.parametrize("param", [p for p in ROOT.commands["ask"].params if p.param_type_name == "option"], ids=str)
def test_every_flag_is_a_setting_or_belongs_to_one_run(param):
    if param.name in NO_SETTINGS:
        assert parser.key_name(param) is None
        return
    assert param.envvar == "DYNSCALE_" + param.opts[0][2:].upper().replace("-", "_")
    assert KEYS[parser.key_name(param)].env == param.envvar
    assert not param.is_flag or param.secondary_opts, "a switch that a file turns on has to be turned off by a flag"


def test_every_default_passes_its_own_check():
    for key in KEYS.values():
        assert key.default is None or key.check(key.typed(key.default)) is not None
        if key.kind != "text" or key.default:  # what a hint proposes to type
            key.check(key.from_text(key.meant("")))


def test_the_built_in_profiles_are_valid():
    for profile in BUILT_IN.values():
        for name, value in profile.items():
            KEYS[name].check(KEYS[name].typed(value))


def test_the_values_of_flags_are_those_of_the_rooms():
    from dynscale_cli.allocation.policies import POLICIES
    from dynscale_cli.answers import types, vote
    from dynscale_cli.run.request import DEFAULT_MAX_TOKENS
    from dynscale_cli.sampling import prompts, sampler

    assert parser.POLICIES == POLICIES
    assert parser.MODES == sampler.MODES
    assert parser.LAYOUTS == prompts.LAYOUTS
    assert parser.VOTES == vote.METHODS
    assert (*types._NAMES, "regex:") == parser.ANSWER_TYPES
    assert KEYS["budget"].default == f"{2 * DEFAULT_MAX_TOKENS}/q"  # two samples of full length


BAD = [
    ("# mine\n\ntmep = 1\n", 3, "there is no setting tmep", "temp"),
    ('temp = "hot"\n', 1, "temp wants a number", "config set temp 0.8"),
    ("a = [\n1,\n]\n", 1, "there is no setting a", "config unset a"),
    ("temp = 0.5\ntop-p = 3\n", 2, "top-p 3: not a number from 0 to 1", "config set top-p 0.95"),
    ("threads = 1.5\n", 1, "threads wants a whole number", "config set threads 0"),
    ("exhaust = 1\n", 1, "exhaust wants true or false", "config set exhaust false"),
    ("max-tokens = 8\nmax_tokens = 9\n", 2, "set twice", "config unset max"),
    ('budget = "12kk"\n', 1, "budget 12kk: not a count of tokens", "config set budget 2048/q"),
    ('policy = "rase"\n', 1, "policy rase: unknown", "config set policy race"),
    ('policy = "ucb:x"\n', 1, "not a parameter", "config set policy race"),
    ('answer-type = "poem"\n', 1, "poem", "config set answer-type auto"),
    ('[journal]\nmax-size = "much"\n', 2, "not a size", "config set journal.max-size 1G"),
    (f'[journal]\nmax-size = "{"9" * 400}"\n', 2, "not a size", "config set journal.max-size 1G"),
    ("[journal]\ntemp = 0.5\n", 2, "there is no setting journal.temp", "above the first"),
    ("[journal]\nsinlge = true\n", 2, "there is no setting journal.sinlge", "unset journal.sinlge"),
    ('[models]\nfolders = "/models"\n', 2, "models.folders wants a list", "config set models.folders"),
    ('[profile.mine]\n\nmode = "mixed"\n', 3, "mode mixed: unknown", "config set profile.mine.mode hybrid"),
    ("[profile.mine.journal]\nmax-size = 1\n", 2, "there is no setting journal.max-size", "unset profile.mine"),
    ('api-key = "secret"\n', 1, "there is no setting api-key", "config unset api-key"),
    (f"budget = {'9' * 400}\n", 1, "more than any run can spend", "config set budget 2048/q"),
    (f'[journal]\nmax-size = "{"9" * 400}"\n', 2, "not a size", "config set journal.max-size 1G"),
    ('profile = "careful"\n', 1, "there is no setting profile", "--profile NAME"),
    ('system = "a\u2028b"\ntmep = 1\n', 2, "there is no setting tmep", "temp"),
    ("temp = \n", 1, "not TOML", ""),
    ("temp = 0.5\ntemp = 0.7\n", 2, "this name has a value already", ""),
    ("temp = 0.5\n[journal\n", 2, "not TOML", ""),
]


@pytest.mark.parametrize(("text", "line", "said", "hint"), BAD)
def test_a_bad_file_is_refused_with_its_line_and_what_to_do(file, run, text, line, said, hint):
    file.write_text(text, encoding="utf-8")
    code, out, errors = run("ask", "Why?")
    assert (code, out) == (2, "")
    first, second = errors.splitlines()
    assert first.startswith(f"dynscale: {file}, line {line}: ")
    assert said in first
    assert hint in second
    assert "secret" not in errors


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"temp = 0.5 # \xff\n", "not UTF-8"),
        (None, "Is a directory"),
        (b"seed = " + b"9" * 5000, "more digits or brackets"),
        (b"seed = " + b"[" * 100_000, "more digits or brackets"),
    ],
)
def test_a_file_that_cannot_be_read(file, run, content, said):
    file.mkdir() if content is None else file.write_bytes(content)
    code, out, errors = run("ask", "Why?")
    assert code != 0
    assert out == ""
    assert said in errors.splitlines()[0]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("DYNSCALE_TEMP", "hot", "wants a number, not hot"),
        ("DYNSCALE_TEMP", "11", "11: not a number from 0 to 10"),
        ("DYNSCALE_BUDGET", "12kk", "not a count of tokens"),
        ("DYNSCALE_BUDGET", "²", "not a count of tokens"),
        ("DYNSCALE_BUDGET", "9" * 5000, "more than any run can spend"),
        ("DYNSCALE_POLICY", "rase", "rase: unknown"),
        ("DYNSCALE_EXHAUST", "maybe", "wants true or false"),
    ],
)
def test_a_bad_variable_is_named(run, monkeypatch, name, text, said):
    monkeypatch.setenv(name, text)
    for command in (("ask", "Why?"), ("config", "show")):
        code, out, errors = run(*command)
        assert (code, out) == (2, "")
        assert errors.startswith(f"dynscale: {name}: ")
        assert said in errors
        assert f"export {name}=" in errors


def test_a_bad_variable_does_not_matter_beside_the_flag(asked, monkeypatch):
    monkeypatch.setenv("DYNSCALE_TEMP", "hot")
    assert asked("--temp", "0.5").temp == 0.5


def test_a_variable_that_is_no_setting_is_named_with_the_one_that_is(asked, run, monkeypatch):
    monkeypatch.setenv("DYNSCALE_TOPK", "3")
    monkeypatch.setenv("DYNSCALE_MODELS_FOLDERS", "/models")
    monkeypatch.setattr(ask, "answer", lambda options: 0)
    assert run("ask", "Why?") == (0, "", "dynscale: DYNSCALE_TOPK is no setting; DYNSCALE_TOP_K is\n")
    assert run("ask", "-q", "Why?") == (0, "", "")


def test_an_unknown_profile_lists_those_there_are(file, run):
    file.write_text("[profile.mine]\ntemp = 0.5\n")
    code, _, errors = run("ask", "--profile", "carefull", "Why?")
    assert code == 2
    assert "careful, mine, quick" in errors
    assert "try: --profile careful" in errors


def test_help_does_not_depend_on_the_file(file, run):
    file.write_text("temp = 0.1\nno = such\n")
    code, out, _ = run("ask", "--help-all")
    assert code == 0
    assert "0.8" in out


def test_lines_are_exact_however_toml_is_written():
    text = 'a = 1\n\n# b\nb = """\nx = 1\n"""\n[t]\nc = [\n 1,\n]\n"d e".f = 2\ng.h = { i = 1, j = 2 }\n'
    assert lines(text) == {
        ("a",): 1,
        ("b",): 4,
        ("t", "c"): 8,
        ("t", "d e", "f"): 11,
        ("t", "g", "h", "i"): 12,
        ("t", "g", "h", "j"): 12,
    }


def test_settings_without_a_flag(file, monkeypatch):
    assert setting("journal.max-size") == 10**9
    assert setting("models.folders") == []
    file.write_text('[journal]\nmax_size = "2M"\nsingle = true\n[models]\nfolders = ["a", "b"]\n')
    assert setting("journal.max-size") == 2 * 10**6
    assert setting("models.folders") == ["a", "b"]
    monkeypatch.setenv("DYNSCALE_JOURNAL_MAX_SIZE", "3KiB")
    assert setting("journal.max-size") == 3 << 10
    monkeypatch.setenv("DYNSCALE_JOURNAL_MAX_SIZE", "big")
    with pytest.raises(UsageError, match="DYNSCALE_JOURNAL_MAX_SIZE"):
        setting("journal.max-size")
    assert {key.env for key in PLAIN} <= {key.env for key in KEYS.values()}


def test_a_flag_that_may_be_repeated_is_a_list(file, run, monkeypatch):
    assert run("config", "set", "endpoint", "http://a:1", "http://b:2")[0] == 0
    assert read_toml(file.read_text()) == {"endpoint": ["http://a:1", "http://b:2"]}
    assert run("config", "get", "endpoint")[1] == '["http://a:1", "http://b:2"]\n'
    monkeypatch.setenv("DYNSCALE_ENDPOINT", "http://c:3 http://d:4")
    assert run("config", "get", "endpoint")[1] == '["http://c:3", "http://d:4"]\n'


def test_settings_of_journals_reach_the_run(file, asked, monkeypatch):
    file.write_text('[journal]\nenabled = false\nsingle = true\nmax-size = "3M"\n')
    assert not asked().journal
    assert setting("journal.max-size") == 3_000_000
    assert asked("--journal").journal
    monkeypatch.setenv("DYNSCALE_JOURNAL", "yes")
    assert asked().journal


def test_without_a_file_nothing_is_read_for_settings(tmp_path):
    code = (
        "import sys\n"
        "sys.argv = ['dynscale', 'ask', '-m', '/nowhere/at/all', 'Why?']\n"
        "from dynscale_cli.cli.main import _run\n"
        "_run()\n"
        "print(sorted({'tomllib', 'tomli', 'tomlkit'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment(tmp_path), check=True)
    assert done.stdout == b"[]\n"


class TestConfig:
    def test_set_is_read_back_and_unset_takes_it_away(self, file, run, asked):
        assert run("config", "set", "max_tokens", "512")[0] == 0
        assert asked().max_tokens == "512"
        assert run("config", "get", "max-tokens") == (0, "512\n", "")
        assert run("config", "unset", "max-tokens")[0] == 0
        assert file.read_text() == ""
        assert run("config", "get", "max-tokens") == (0, "1024\n", "")

    def test_writing_keeps_comments_and_spelling(self, file, run):
        file.write_text("# mine\nmax_tokens = 8  # few\n\n[journal]\n# none\nsingle = true\n")
        run("config", "set", "max-tokens", "16")
        run("config", "set", "profile.mine.temp", "0.5")
        run("config", "unset", "journal.single")
        assert file.read_text() == (
            "# mine\nmax_tokens = 16  # few\n\n[journal]\n# none\n\n[profile.mine]\ntemp = 0.5\n"
        )

    @pytest.mark.parametrize(
        "before",
        [
            "# mine\n[journal]\nsingle = true # why\n\n# about models\n[models]\nfolders = []\n",
            "journal.single = true\nprofile.a.temp = 0.3\n",
            "journal = { single = true }\n",
            "[profile.a]\ntemp = 0.3\n\n[journal]\nsingle = true\n\n[profile.b]\n",
            "seed = 1\r\n[journal]\r\nsingle = true\r\n",
        ],
    )
    def test_however_a_file_is_written_nothing_else_in_it_changes(self, file, run, before):
        file.write_text(before, newline="")
        wanted = read_toml(before)
        for name, value in (("journal.max-size", "3M"), ("profile.b.top-k", 3), ("temp", 0.5), ("profile.a.seed", 4)):
            old, code = file.read_text(), run("config", "set", name, str(value))[0]
            *tables, last = name.split(".")
            table = wanted
            if code == 0:
                for part in tables:
                    table = table.setdefault(part, {})
                table[last] = value
            else:
                assert file.read_text() == old
            assert read_toml(file.read_text()) == wanted
        assert "temp" in wanted

    def test_settings_written_at_once_are_all_kept(self, file):
        """Each reads the file before it writes it: without a lock, some would not know of the others."""
        code = "from dynscale_cli.settings import config_file, put; import sys; put(config_file(), sys.argv[1:], 1)"
        names = [f"k{n}" for n in range(8)]
        writers = [subprocess.Popen([sys.executable, "-c", code, "profile", name, "seed"]) for name in names]
        assert [writer.wait(60) for writer in writers] == [0] * 8
        assert sorted(read_toml(file.read_text())["profile"]) == names

    def test_set_makes_the_folder(self, tmp_path, run):
        assert not (tmp_path / "home").exists()
        assert run("config", "set", "seed", "-5")[0] == 0
        assert run("config", "get", "seed")[1] == "-5\n"

    @pytest.mark.parametrize(
        ("words", "said", "hint"),
        [
            (("tmep", "1"), "there is no setting tmep", "temp"),
            (("temp", "hot"), "temp wants a number", "temp 0.8"),
            (("temp", "11"), "temp 11: not a number from 0 to 10", "temp 0.8"),
            (("policy", "rase"), "policy rase: unknown", "policy race"),
            (("temp", "0.5", "0.6"), "one value, not 2", "temp 0.5"),
            (("profile.mine.tmep", "1"), "there is no setting profile.mine.tmep", "temp"),
            (("api-key", "secret"), "there is no setting api-key", "export DYNSCALE_API_KEY="),
        ],
    )
    def test_what_is_not_valid_is_not_written(self, file, run, words, said, hint):
        file.write_text("temp = 0.1\n")
        code, _, errors = run("config", "set", *words)
        assert code == 2
        assert said in errors.splitlines()[0]
        assert hint in errors.splitlines()[1]
        assert file.read_text() == "temp = 0.1\n"

    def test_a_write_that_fails_leaves_the_old_file(self, file, run, monkeypatch):
        def full(*_):
            raise OSError(28, "No space left on device")

        file.write_text("temp = 0.1\n")
        monkeypatch.setattr("os.fsync", full)
        code, _, errors = run("config", "set", "temp", "0.2")
        assert code == 1
        assert "No space left" in errors
        assert file.read_text() == "temp = 0.1\n"
        assert sorted(each.name for each in file.parent.iterdir()) == [".config.toml.lock", "config.toml"]

    def test_a_bad_file_can_be_mended(self, file, run):
        file.write_text("tmep = 1\ntemp = 11\n")
        assert run("config", "show")[0] == 2
        assert run("config", "unset", "tmep")[0] == 0
        assert run("config", "set", "temp", "1")[0] == 0
        assert run("config", "show")[0] == 0

    def test_show_tells_where_each_value_is_from(self, file, run, monkeypatch):
        file.write_text("# mine\nseed = 7\n[profile.careful]\ntop-k = 5\n")
        monkeypatch.setenv("DYNSCALE_TEMP", "0.3")
        rows = [line.split(maxsplit=2) for line in run("config", "show", "--profile", "careful")[1].splitlines()]
        origins = {key: (value, origin) for key, value, origin in rows}
        assert list(origins) == list(KEYS)
        assert origins["seed"] == ("7", "config.toml:2")
        assert origins["temp"] == ("0.3", "DYNSCALE_TEMP")
        assert origins["top-k"] == ("5", "profile careful (config.toml:4)")
        assert origins["confidence"] == ("0.99", "profile careful")
        assert origins["top-p"] == ("0.95", "default")
        told = json.loads(run("config", "show", "--profile", "careful", "--json")[1])
        assert told["seed"] == {"value": 7, "origin": "file", "where": str(file), "line": 2}
        assert told["temp"] == {"value": 0.3, "origin": "environment", "where": "DYNSCALE_TEMP", "line": None}

    def test_path_is_told_before_the_file_exists(self, tmp_path, run):
        assert run("config", "path") == (0, f"{tmp_path / 'home' / 'config.toml'}\n", "")

    def test_a_variable_that_hides_what_was_set_is_mentioned(self, run, monkeypatch):
        monkeypatch.setenv("DYNSCALE_TEMP", "0.3")
        assert "DYNSCALE_TEMP is set" in run("config", "set", "temp", "0.5")[2]
