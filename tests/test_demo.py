from __future__ import annotations

import sys

import pytest

from tritorch import demo


def test_the_demo_learns_saves_and_draws(tmp_path, capsys):
    accuracy = demo.main(["--epochs", "3", "--seed", "1", "--out", str(tmp_path / "out")])
    assert accuracy > 0.9
    out = capsys.readouterr().out
    assert "1438 digits to train on, 359 held out" in out
    assert f"accuracy on the held-out fifth: {accuracy:.2%}" in out
    assert f"loaded into a new model: {accuracy:.2%}" in out
    assert (tmp_path / "out" / "digits.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "out" / "digits.pth").stat().st_size > 100_000


def test_the_same_seed_gives_the_same_network(tmp_path):
    first, second = (demo.main(["--epochs", "1", "--out", str(tmp_path)]) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("missing, what", [("matplotlib", "picture"), ("tqdm", "progress bar")])
def test_without_its_extra_the_error_names_it(missing, what, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    expected = rf"the {what} needs {missing}; .*pip install 'tritorch\[demo\]'"
    with pytest.raises(ModuleNotFoundError, match=expected):
        demo.main(["--epochs", "1", "--out", str(tmp_path)])


@pytest.mark.parametrize("arguments", [["--epochs", "0"], ["--epochs", "many"], ["--colour"]])
def test_bad_arguments_are_refused_with_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        demo.main(arguments)
    assert caught.value.code == 2 and "usage: python -m tritorch.demo" in capsys.readouterr().err
