"""Files that models are written to: nothing else is lost there."""

from pathlib import Path

import pytest

from fedpact.errors import InvalidInput
from fedpact.requester import model_file
from tests.offchain.requester.test_first_model import fetched


@pytest.mark.parametrize("personal", [True, False])
def test_only_a_former_copy_of_the_same_model_is_replaced(tmp_path: Path, personal: bool) -> None:
    """`provider personal --output m.json` wrote the model, and its description over it; a model
    named as the owner's queries replaced them by its description."""
    new = tmp_path / "new.safetensors"
    model_file.check_output(new, 1, "ab", personal=personal)
    with pytest.raises(InvalidInput, match=r"m\.json: models are written as \.safetensors"):
        model_file.check_output(tmp_path / "m.json", 1, "ab", personal=personal)
    (tmp_path / "new.json").write_text('[{"pixel": 1}]')
    with pytest.raises(InvalidInput, match=r"new\.json exists and was not written with a model"):
        model_file.check_output(new, 1, "ab", personal=personal)
    (tmp_path / "new.json").unlink()
    new.write_bytes(b"another program's")
    with pytest.raises(InvalidInput, match=r"new\.safetensors or .* was not written with a model"):
        model_file.check_output(new, 1, "ab", personal=personal)
    former = fetched(tmp_path)
    model_file.check_output(former, 1, "ab")
    for request, deployment in ((2, "ab"), (1, "cd")):
        with pytest.raises(InvalidInput, match="is the model of another request"):
            model_file.check_output(former, request, deployment, personal=personal)
    with pytest.raises(InvalidInput, match="is a global model"):
        model_file.check_output(former, 1, "ab", personal=True)
    former.unlink()  # as a kill leaves it, after the description and before the model
    model_file.check_output(former, 1, "ab")
    with pytest.raises(InvalidInput, match="is the model of another request"):
        model_file.check_output(former, 2, "ab")


def test_a_file_that_cannot_be_written_is_an_error_in_one_line(tmp_path: Path) -> None:
    """It was a Python traceback."""
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match=r"cannot write .*m\.json: File exists"):
        model_file.write(tmp_path / "file" / "m.safetensors", b"", {})
    with pytest.raises(InvalidInput, match=r"cannot write .*m\.model-card\.md: File exists"):
        model_file.write_card(tmp_path / "file" / "m.safetensors", "", {})
