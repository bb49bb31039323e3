"""What the files around the code promise: pins, packaging, two commands, nobody's machine in any of them."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
FOLDERS = {"instructor_core", "tests", "assets"}
FILES = {"app.py", "requirements.txt", "README.md", "pyproject.toml"}
# Paths of somebody's machine. A match is not part of a longer word: a URL such as example.org/home/ is fine.
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root|tmp|opt|home|Users)/\w|\.\./shared\b|\b[A-Z]:\\Users\\")


def project_files() -> list[Path]:
    """Tracked files and those about to be: everything that git does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted({path for name in listed.split("\0") if name and (path := ROOT / name).is_file()})


def text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def requirements(path: Path) -> dict[str, Requirement]:
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    found = [Requirement(line) for line in lines if line and not line.startswith("-r ")]
    return {canonical(requirement.name): requirement for requirement in found}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pin_of(requirement: Requirement) -> str:
    (specifier,) = requirement.specifier
    return specifier.version


def front_matter() -> dict[str, str]:
    _, head, _ = README.read_text(encoding="utf-8").split("---\n", 2)
    pairs = (line.split(":", 1) for line in head.splitlines() if re.match(r"\w+:", line))
    return {key: value.split(" #")[0].strip().strip("'\"") for key, value in pairs}


def machine_paths(text: str) -> list[str]:
    return [line.strip()[:120] for line in text.splitlines() if MACHINE_PATH.search(line)]


def test_no_file_mentions_a_path_of_somebodys_machine() -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for path in project_files()
        if (text := text_of(path)) is not None and (lines := machine_paths(text))
    }
    assert found == {}
    for folder in ("work", "root", "tmp", "home", "Users"):  # a planted one is found
        assert machine_paths(f'see "/{folder}' + '/somebody/notes.md"')
        assert not machine_paths(f"https://example.org/{folder}" + "/somebody")


def test_what_a_reader_sees_is_spelt_in_one_way() -> None:
    american = re.compile(
        r"\b(neighbor(s|hood|hoods)?|colors|colored|behaviors?|centered|gray|labeled|labeling)\b", re.I
    )
    found = []
    for path in sorted((ROOT / "instructor_core").glob("[!t]*/**/*.py")):  # the page, its figures, their analysis
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                node.value.value = ""  # a docstring: parameters have the names of the field
            if isinstance(node, ast.Constant) and " " in str(node.value) and american.search(str(node.value)):
                found.append((path.name, node.lineno, node.value))
    pages = [*ROOT.glob("assets/lessons/*.json"), *ROOT.glob("assets/examples/*"), ROOT / "assets/help.json"]
    found += [(path.name, hit[0]) for path in pages for hit in american.finditer(path.read_text(encoding="utf-8"))]
    assert found == []


def test_the_encoder_stays_one_file_that_is_read_in_one_go() -> None:
    assert len((ROOT / "instructor_core" / "encoder.py").read_text(encoding="utf-8").splitlines()) <= 630


def test_nothing_new_appeared_at_the_top_level() -> None:
    names = {path.relative_to(ROOT).parts[0] for path in project_files()}
    assert {name for name in names if not name.startswith(".")} <= FOLDERS | FILES


def test_every_requirement_is_pinned_to_one_version_within_the_bounds_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = requirements(ROOT / "requirements.txt") | requirements(ROOT / "tests" / "requirements.txt")
    assert [pin for pin in pins.values() if [one.operator for one in pin.specifier] != ["=="]] == []
    extras = project["optional-dependencies"]
    for bound in map(Requirement, [*project["dependencies"], *chain(*extras.values())]):
        pin = pins.get(canonical(bound.name))
        assert pin is None or bound.specifier.contains(pin_of(pin)), f"the pin is outside {bound}"
    for name in ("app", "dev", "evaluate"):
        assert {canonical(Requirement(line).name) for line in extras[name]} <= {*pins, project["name"]}, name


def test_the_wheel_holds_the_package_the_bundled_checkpoint_and_the_lists(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*command, "--wheel-dir", str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in project_files()
        if path.is_relative_to(ROOT / "instructor_core")
        and not path.is_relative_to(ROOT / "instructor_core" / "train" / "mini")  # needs the repository
    } | {
        "instructor_core/" + path.relative_to(ROOT).as_posix()
        for path in project_files()
        if path.is_relative_to(ROOT / "assets" / "instructor-mini")
        or path.is_relative_to(ROOT / "assets" / "label_sets")
        or path.name in ("instruction_builder.json", "unrelated_sentences.json")
    }
    assert "instructor_core/assets/instructor-mini/config.json" in wanted
    assert packed == wanted


def test_the_readme_opens_as_a_space_with_the_pinned_gradio() -> None:
    keys = front_matter()
    assert keys["sdk"] == "gradio"
    assert keys["sdk_version"] == pin_of(requirements(ROOT / "requirements.txt")["gradio"])
    assert keys["app_file"] == "app.py"
    assert (ROOT / keys["app_file"]).is_file()


def test_the_readme_names_the_command_that_starts_the_app_and_the_one_that_continuous_integration_runs() -> None:
    lines = README.read_text(encoding="utf-8").splitlines()
    parts = ("-m venv .venv", ".venv/bin/pip install -r requirements.txt", ".venv/bin/python app.py")
    assert any(all(part in line for part in parts) for line in lines), (
        "one line makes .venv, installs requirements.txt and starts app.py"
    )
    assert any(line.strip() == "tests/run" for line in lines)
    assert "tests/run" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for script in (ROOT / ".ci" / "run", ROOT / "tests" / "run"):
        assert script.stat().st_mode & 0o111, f"{script.name} is not executable"
