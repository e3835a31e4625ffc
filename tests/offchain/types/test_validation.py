import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, field_validator

from fedpact.types.validation import every_error, first_error


class Part(BaseModel):
    size: int


class Whole(BaseModel):
    parts: tuple[Part, ...]
    name: str


def refused(content: str) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate_json(content)
    return caught.value


def test_a_failure_is_named_by_its_path_and_only_the_first_is_reported():
    error = refused('{"parts": [{"size": 1}, {"size": "many"}]}')

    assert error.error_count() == 2
    assert first_error(error).startswith("parts.1.size: Input should be a valid integer")
    assert "\n" not in first_error(error)


def test_a_failure_of_the_whole_is_named_as_the_caller_calls_it():
    error = refused("{")

    assert first_error(error).startswith("document: Invalid JSON")
    assert first_error(error, "body").startswith("body: Invalid JSON")


def test_failures_are_said_in_words_for_people():
    class Strict(BaseModel):
        model_config = ConfigDict(extra="forbid")
        size: int = 0

        @field_validator("size")
        @classmethod
        def _even(cls, size: int) -> int:
            if size % 2:
                raise ValueError("must be even")
            return size

    with pytest.raises(ValidationError) as caught:
        Strict.model_validate({"size": 1, "sise": 2})
    assert every_error(caught.value) == "size: must be even; sise: there is no such field"


def test_a_bare_value_has_no_path():
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(int).validate_python("many")

    assert first_error(caught.value, "value").startswith("value: Input should be")
