"""What the README says of serving."""

import pathlib
import re

from tf_apil import serving
from tf_apil.models import loading as keras_loading
from tf_apil.policies import loading

_README = pathlib.Path(__file__).parents[2] / "README.md"


def test_the_snippet_runs(tmp_path, monkeypatch):
    section = _README.read_text(encoding="utf-8").split("\n## Serving\n")[1].split("\n## ")[0]
    (snippet,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    walker = "tf_apil/YouShallNotPassHumans-v0/walker-v1"
    monkeypatch.chdir(tmp_path)
    serving.export(keras_loading.model(walker), tmp_path / "exported" / "walker" / "1", loading.card(walker))
    lines, names = snippet.splitlines(), {}
    asked = [line for line in lines if line.startswith(("serve(", "sample(", "value("))]
    exec("\n".join(line for line in lines if line not in asked), names)
    shapes = [
        {key: value.shape.as_list() for key, value in answer.items()} if isinstance(answer, dict) else answer.shape
        for answer in (eval(line, names) for line in asked)
    ]
    assert shapes == [[7, 17], {"action": [7, 17], "mean": [7, 17], "log_std": [17]}, [7]]
