"""Modular embeddings from Python: one body in memory, any number of languages, a few names.

    >>> import relexify
    >>> model = relexify.load("models/xnli", "runs/en", "runs/sw")   # doctest: +SKIP
    >>> model.languages                                              # doctest: +SKIP
    ('en', 'sw')
    >>> model.encode("Habari ya asubuhi", language="sw").shape       # doctest: +SKIP
    (768,)

The embeddings stay memory-mapped files: memory is that of the body and of the embedding in use; changing the language moves a
pointer. Everything here works where fairseq is not installed. docs/python.md has examples that run.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

FOLDERS = ("pretrain", "adapt", "tasks", "recipes")
AUTO = "auto"


def _check_folders() -> None:
    """Raises ImportError, in one line, where another package of the same name stands before one of ours."""
    here = Path(__file__).resolve().parent
    for name in FOLDERS:
        loaded = sys.modules.get(name)
        spec = getattr(loaded, "__spec__", None) if loaded is not None else importlib.util.find_spec(name)
        origin = getattr(spec, "origin", None) or getattr(loaded, "__file__", None)
        if origin is None or Path(origin).resolve() != here / name / "__init__.py":
            raise ImportError(f"relexify needs its own package {name!r} ({here / name}), but Python finds "
                              f"{origin or 'none'} first; start Python elsewhere, or take that folder or file out of sys.path")


_check_folders()

from adapt.artefacts.assemble import assemble, assemble_pair, check_compatible, swap  # noqa: E402
from adapt.artefacts.embedding import Embedding  # noqa: E402
from adapt.artefacts.resources import embedding_of, locate  # noqa: E402
from adapt.probe.detect import Detection, require_pretrained  # noqa: E402
from adapt.probe.fill import Filling  # noqa: E402
from pretrain.artefacts.body import ELECTRA, Body  # noqa: E402
from pretrain.base.errors import UserError, unknown  # noqa: E402
from pretrain.electra.networks import Discriminator, Electra  # noqa: E402
from pretrain.masked_lm import MaskedLM  # noqa: E402
from tasks.heads.model import task_model  # noqa: E402
from tasks.heads.several import body_for  # noqa: E402
from tasks.predict import choose_device  # noqa: E402

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Model", "UserError", "load"]


def load(body: str | Path, *embeddings: str | Path, task: str = "", device: str = "auto", precision: str = "fp32") -> Model:
    """A body with the embeddings of one or more languages.

    Args:
        body: folder of a body, a task body, an output of `pretrain` or `finetune`, or an assembled model.
        embeddings: folders of embeddings of its lineage; where none is named, the one in or beside the body.
        task: of a body that does several tasks, the one that it is to do.
        device: auto, cpu or cuda.
        precision: fp32, bf16 or fp16.

    Raises:
        UserError: a folder that is no such artefact, or an embedding that does not fit.
    """
    loaded = body_for(Body.load(locate(body, "body")), [task], str(body))
    paths = [locate(path, "embedding") for path in embeddings] or [embedding_of(body)]
    modules: dict[str, Embedding] = {}
    for path in paths:
        embedding = Embedding.load(path)
        if embedding.language in modules:
            raise UserError(f"{path}: a second embedding of {embedding.language!r}; load one of each language")
        modules[embedding.language] = embedding
    return Model(loaded, modules, str(body), device, precision)


class _Network:
    """The one network of a model, the embedding in it, and the lock that keeps two threads apart."""

    def __init__(self, body: Body, first: Embedding, device: str, precision: str):
        place = choose_device(device)
        self.model: MaskedLM | Discriminator
        if body.task:
            self.model = task_model(body, first, place, precision)
        elif body.backbone == ELECTRA and body.generator is not None:
            self.model = assemble_pair(body, first, place)
        else:
            self.model = assemble(body, first, place)
        self.inside: Embedding | None = first
        self.lock = threading.RLock()

    def put(self, embedding: Embedding) -> None:
        """Makes it the embedding in use; nothing is copied."""
        if self.inside is not embedding:
            swap(self.model, embedding)
            self.inside = embedding

    @property
    def language_model(self) -> MaskedLM | None:
        """What can say how probable a piece is: RoBERTa itself, a pair's generator."""
        if isinstance(self.model, Electra):
            return self.model.generator
        return self.model if isinstance(self.model, MaskedLM) else None


class Model:
    """A body, its languages, and what can be done with them. `load` makes one.

    It may be called from several threads: calls wait for each other.
    """

    def __init__(self, body: Body, embeddings: Mapping[str, Embedding], name: str = "the body", device: str = "auto",
                 precision: str = "fp32"):
        if not embeddings:
            raise UserError(f"{name}: no embedding to read with; name at least one")
        for embedding in embeddings.values():
            check_compatible(body, embedding)
        self.body, self.name = body, name
        self._embeddings = dict(embeddings)
        self._language = next(iter(embeddings)) if len(embeddings) == 1 else None
        self._network = _Network(body, next(iter(embeddings.values())), device, precision)

    def __repr__(self) -> str:
        task = f", task {self.task}" if self.task else ""
        return f"<relexify.Model {self.name}{task}, languages {', '.join(self.languages)}>"

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages it reads, in the order in which they were loaded."""
        return tuple(self._embeddings)

    @property
    def task(self) -> str | None:
        """Name of the task that the body was fine-tuned for; None of a pre-trained body."""
        return str(self.body.task["name"]) if self.body.task else None

    def with_language(self, language: str) -> Model:
        """The same model with a language that need not be named again; shares body and embeddings with this one.

        Raises:
            UserError: no embedding of that language.
        """
        self._embedding(language)
        other = object.__new__(Model)
        other.__dict__.update(self.__dict__, _language=language)
        return other

    def with_embedding(self, embedding: str | Path) -> Model:
        """The same model with one more language, read from a folder; shares body and embeddings with this one.

        Raises:
            UserError: no embedding, or one that does not fit.
        """
        more = Embedding.load(locate(embedding, "embedding"))
        check_compatible(self.body, more)
        other = object.__new__(Model)
        other.__dict__.update(self.__dict__, _embeddings={**self._embeddings, more.language: more}, _language=None)
        return other

    def guess(self, texts: Sequence[str]) -> list[str]:
        """The language of each text among those of the model: by script, then by which embedding models the text best."""
        from adapt.probe.language import guess

        with self._network.lock:
            model = self._network.language_model
            if self.body.task and self.body.backbone == ELECTRA:
                model = None  # its discriminator has no language model: the vocabularies decide
            return guess(self._embeddings, texts, model, self._network.put)

    @overload
    def encode(self, texts: str, language: str | None = None, *, layer: int = -1,
               pool: Literal["mean"] = "mean") -> NDArray[np.float32]: ...
    @overload
    def encode(self, texts: Sequence[str], language: str | None = None, *, layer: int = -1,
               pool: Literal["mean"] = "mean") -> NDArray[np.float32]: ...
    @overload
    def encode(self, texts: Sequence[str], language: str | None = None, *, layer: int = -1,
               pool: Literal["none"]) -> list[NDArray[np.float32]]: ...
    def encode(self, texts: str | Sequence[str], language: str | None = None, *, layer: int = -1, pool: str = "mean") -> Any:
        """Texts as vectors: the mean of a layer's states at the tokens [D] of a text, [N, D] of several.

        Args:
            language: a code, `auto`, or nothing where the model has one language.
            layer: 1 is the first, -1 the last.
            pool: `mean`, or `none` for the states themselves, [T, D] for each text.

        Raises:
            UserError: no such language or layer, or a text without a token.
        """
        import numpy as np

        from adapt.probe.states import states

        if pool not in ("mean", "none"):
            raise unknown("pool", pool, ("mean", "none"))
        given = [texts] if isinstance(texts, str) else list(texts)
        results: list[Any] = [None] * len(given)
        for embedding, numbers in self._by_language(given, language):
            own = states(self._network.model.encoder, embedding.tokenizer, [given[n] for n in numbers], layer)
            for number, each in zip(numbers, own, strict=True):
                results[number] = each.mean(0) if pool == "mean" else each
        if isinstance(texts, str):
            return results[0]
        if pool == "none":
            return results
        return np.stack(results) if results else np.zeros((0, self.body.config.width), dtype=np.float32)

    def fill(self, texts: str | Sequence[str], language: str | None = None, *, top: int = 5) -> Any:
        """The best pieces for every `<mask>`: a `Filling` for a text, a list of them for several (see `relexify fill`).

        Raises:
            UserError: a task body, an ELECTRA body without a generator, a text without a mask.
        """
        from adapt.probe.fill import fill

        require_pretrained(self.body, self.name)
        model = self._network.language_model
        if model is None:
            raise UserError(f"{self.name}: an ELECTRA body without a generator cannot fill in; use `detect`")

        def own(given: list[str], embedding: Embedding) -> list[Filling]:
            return fill(model, embedding.tokenizer, given, top)

        return self._each(texts, language, own)

    def detect(self, texts: str | Sequence[str], language: str | None = None) -> Any:
        """Which tokens were replaced: a `Detection` for a text, a list of them for several (see `relexify detect`).

        Raises:
            UserError: a body that is no pre-trained ELECTRA body, a text without a token.
        """
        from adapt.probe.detect import detect

        require_pretrained(self.body, self.name)
        model = self._network.model
        if not isinstance(model, Discriminator):
            raise UserError(f"{self.name}: a RoBERTa body has no replaced-token head; detect needs an ELECTRA body, use `fill`")

        def own(given: list[str], embedding: Embedding) -> list[Detection]:
            return detect(model, embedding.tokenizer, given)

        return self._each(texts, language, own)

    def __call__(self, inputs: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]], language: str | None = None) -> Any:
        """What the task body says: a prediction for one input, a list of them for several.

        Args:
            inputs: texts, or dictionaries: `text`, or `premise` and `hypothesis` (classification); `question` and `context`;
                `text` or `words` (tagging).
            language: a code, `auto`, or nothing where the model has one language.

        Returns:
            `label` and `probabilities`; or `answer`, `start`, `end`, `probability`, `no_answer`; or `words`, `tags`, `spans`.

        Raises:
            UserError: a body without a task, a task that is not known here, an input without what the task needs.
        """
        one = isinstance(inputs, str | Mapping)
        given: list[str | Mapping[str, Any]] = [inputs] if isinstance(inputs, str | Mapping) else list(inputs)
        results = self.predict_rows(given, language=language)
        return results[0] if one else results

    @property
    def columns(self) -> tuple[tuple[str, ...], ...]:
        """The sets of keys that an input of the task may have.

        Raises:
            UserError: a body without a task, or with one that is not known here.
        """
        return self._predictor().columns

    def predict_rows(self, inputs: Sequence[str | Mapping[str, Any]], names: Sequence[str] = (),
                     language: str | None = None) -> list[dict[str, Any]]:
        """As a call of the model, for many inputs.

        Args:
            names: what errors call the inputs; `input 1` and so on where empty.
            language: of the inputs that do not say their own (`language`).
        """
        from adapt.text.windows import MAX_TOKENS
        from tasks.predict import check_rows

        predictor = self._predictor()
        rows = check_rows(inputs, predictor.columns, names)
        results: list[Any] = [None] * len(rows)
        said: dict[str | None, list[int]] = {}
        for number, row in enumerate(rows):
            said.setdefault(row.get("language") or language, []).append(number)
        for code, chosen in said.items():
            texts = [" ".join(str(value) for key, value in rows[n].items() if key != "language") for n in chosen]
            for embedding, places in self._by_language(texts, code):
                numbers = [chosen[place] for place in places]
                own = predictor.predict(self._network.model, embedding, [rows[n] for n in numbers], MAX_TOKENS)
                for number, each in zip(numbers, own, strict=True):
                    results[number] = {"language": embedding.language, **each}
        return results

    def _predictor(self) -> Any:
        from tasks.registry import get_task

        if self.task is None:
            raise UserError(f"{self.name} has no task head; load a body that `relexify finetune` wrote, or use `encode`, `fill`")
        return get_task(self.task).predictor(self.body)

    def _each(self, texts: str | Sequence[str], language: str | None,
              own: Callable[[list[str], Embedding], Sequence[Any]]) -> Any:
        """What `own` says of each text, in their order, each under its language's embedding."""
        given = [texts] if isinstance(texts, str) else list(texts)
        results: list[Any] = [None] * len(given)
        for embedding, numbers in self._by_language(given, language):
            for number, each in zip(numbers, own([given[n] for n in numbers], embedding), strict=True):
                results[number] = each
        return results[0] if isinstance(texts, str) else results

    def _embedding(self, language: str) -> Embedding:
        if language not in self._embeddings:
            raise unknown("language", language, self._embeddings)
        return self._embeddings[language]

    @contextmanager
    def _using(self, embedding: Embedding) -> Iterator[None]:
        with self._network.lock:
            self._network.put(embedding)
            yield

    def _by_language(self, texts: Sequence[str], language: str | None) -> Iterator[tuple[Embedding, list[int]]]:
        """Each language's embedding, put into the network, with the numbers of the texts that it reads."""
        language = language or self._language
        if language is None:
            raise UserError(f"language is missing: this model reads {', '.join(self.languages)}; name one, or say "
                            "language='auto'")
        with self._network.lock:
            codes = self.guess(texts) if language == AUTO else [language] * len(texts)
            for code in dict.fromkeys(codes):
                embedding = self._embedding(code)
                with self._using(embedding):
                    yield embedding, [number for number, own in enumerate(codes) if own == code]
