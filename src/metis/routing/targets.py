"""Model names to providers: who serves a name. Which name is wanted is the slots' business."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from metis.catalog.models import family_of, normalise
from metis.catalog.names import without_cloud


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A configured provider as routing sees it.

    `claims`: globs of the names it serves. `any_model`: its names cannot be known beforehand.
    """

    name: str
    claims: tuple[str, ...]
    shapes: tuple[str, ...]
    any_model: bool = False
    free: bool = False
    default_model: str = ""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A provider's name, the model id to send it, and in a few words why it is the one."""

    provider: str
    model: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """All targets in configured order, and the aliases for model names."""

    targets: tuple[Target, ...]
    aliases: dict[str, str] = field(default_factory=dict[str, str])

    def resolve(self, name: str, shape: str) -> Resolved | None:
        """Who serves `name` for a client of `shape`; None when nobody is known to.

        In order: aliases; `provider/model`; a target's claims; a cloud's name as the model's own; a family's name
        when only one provider could mean it; a target that serves any name, the client's shape first.
        """
        aliased = self.aliases.get(name)
        if aliased is not None and aliased != name:
            found = self._resolve_plain(aliased, shape)
            return found and Resolved(found.provider, found.model, f"alias of {aliased!r}")
        return self._resolve_plain(name, shape)

    def _resolve_plain(self, name: str, shape: str) -> Resolved | None:
        prefix, slash, rest = name.partition("/")
        if slash and rest:
            for target in self.targets:
                if target.name == prefix:
                    return Resolved(target.name, _sent(rest), f"named provider {prefix!r}")
        model = _sent(name)
        plain = without_cloud(model)
        for target in self.targets:
            # `claude-*` claims a cloud's spelling too, but does not mean it.
            if any(
                fnmatchcase(model, claim) and (plain == model or not fnmatchcase(plain, claim))
                for claim in target.claims
            ):
                return Resolved(target.name, model, f"{target.name} serves {model!r}")
        if plain != model:
            return self._resolve_plain(plain, shape)
        paid = [target for target in self.targets if not target.free]
        if len(paid) == 1 and family_of(model) is not None:
            return Resolved(paid[0].name, model, f"{paid[0].name} is the only provider")
        open_ended = [target for target in paid if target.any_model]
        for target in sorted(open_ended, key=lambda target: shape not in target.shapes):
            return Resolved(target.name, model, f"{target.name} takes any model name")
        if slash and rest:
            return self._resolve_plain(rest, shape)
        return None

    def usual(self, shape: str) -> Resolved | None:
        """The model for a client that leaves the choice to us and no default is configured."""
        able = [target for target in self.targets if target.default_model]
        for target in sorted(able, key=lambda target: shape not in target.shapes):
            return Resolved(target.name, target.default_model, f"the usual model of {target.name}")
        return None


def _sent(name: str) -> str:
    """The name as a provider knows it: client-side suffixes such as `[1m]` are not part of it."""
    return normalise(name).sent
