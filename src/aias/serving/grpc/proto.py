"""Reads `.proto` files of our own into messages, so that what is reviewed is what runs, and nothing is generated.

The part of the language that they use: messages, enums, oneofs, maps, services. Anything else fails at once.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any, Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    ServiceDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_TOKEN: Final = re.compile(r'\s+|//[^\n]*|([A-Za-z_][\w.]*|[0-9]+|"[^"]*"|[{}<>()=;,])')
_SCALARS: Final = ("bool", "bytes", "double", "float", "int32", "int64", "string", "uint32", "uint64")


class Schema:
    """The messages and services of one file. Of its own pool: clients in the same process may know the same names."""

    def __init__(self, file: FileDescriptorProto) -> None:
        self.file = file
        self._pool = DescriptorPool()
        self._pool.Add(file)

    def message(self, name: str) -> Any:
        """The class of a message, by its name within the package."""
        return GetMessageClass(self._pool.FindMessageTypeByName(f"{self.file.package}.{name}"))

    def holds(self, symbol: str) -> bool:
        """Whether a message, enum, service or method of this full name is in the file."""
        try:
            return bool(self._pool.FindFileContainingSymbol(symbol))
        except KeyError:
            return False

    def resolved(self) -> bytes:
        """The file with the full name of every type, as other programs read it."""
        file = FileDescriptorProto()
        self._pool.FindFileByName(self.file.name).CopyToProto(file)
        return bytes(file.SerializeToString())


@cache
def schema(name: str) -> Schema:
    """The file `name.proto` beside this one."""
    return Schema(read(name, files(__package__).joinpath(f"{name}.proto").read_text("utf-8")))


def renamed(name: str, package: str) -> Schema:
    """The same file under another package: reflection goes by two names."""
    text = files(__package__).joinpath(f"{name}.proto").read_text("utf-8")
    own = schema(name).file.package
    return Schema(read(f"{name}-{package}", text.replace(f"package {own};", f"package {package};")))


def read(name: str, text: str) -> FileDescriptorProto:
    """Raises `ValueError` on anything that is not understood."""
    return _Reader(name, text).file()


class _Reader:
    def __init__(self, name: str, text: str) -> None:
        self._name, self._tokens = name, list(_tokens(text))
        self._at = 0

    def file(self) -> FileDescriptorProto:
        file = FileDescriptorProto(name=f"{self._name}.proto", syntax="proto3")
        self._expect("syntax", "=", '"proto3"', ";", "package")
        file.package = self._next()
        self._expect(";")
        while self._at < len(self._tokens):
            kind = self._next()
            if kind == "message":
                file.message_type.append(self._message(f".{file.package}"))
            elif kind == "enum":
                file.enum_type.append(self._enum())
            elif kind == "service":
                file.service.append(self._service())
            else:
                raise ValueError(f"{self._name}.proto: {kind!r} is not understood")
        return file

    def _message(self, scope: str) -> DescriptorProto:
        message = DescriptorProto(name=self._next())
        own = f"{scope}.{message.name}"
        self._expect("{")
        while (word := self._next()) != "}":
            if word == "message":
                message.nested_type.append(self._message(own))
            elif word == "enum":
                message.enum_type.append(self._enum())
            elif word == "oneof":
                message.oneof_decl.add(name=self._next())
                self._expect("{")
                while (kind := self._next()) != "}":
                    self._field(message, kind).oneof_index = len(message.oneof_decl) - 1
            elif word == "map":
                self._map(message, own)
            elif word == "repeated":
                self._field(message, self._next()).label = FieldDescriptorProto.LABEL_REPEATED
            else:
                self._field(message, word)
        return message

    def _field(self, message: DescriptorProto, kind: str) -> FieldDescriptorProto:
        field = message.field.add(name=self._next(), label=FieldDescriptorProto.LABEL_OPTIONAL)
        self._expect("=")
        field.number = int(self._next())
        self._expect(";")
        _give_type(field, kind)
        return field

    def _map(self, message: DescriptorProto, own: str) -> None:
        """`map<string, V> name = 1;` is a repeated message of key and value."""
        self._expect("<", "string", ",")
        kind = self._next()
        self._expect(">")
        field = self._field(message, "string")
        field.ClearField("type")
        entry = message.nested_type.add(name="".join(map(str.capitalize, field.name.split("_"))) + "Entry")
        entry.options.map_entry = True
        key, value = (entry.field.add(name=name, number=at) for at, name in ((1, "key"), (2, "value")))
        key.label = value.label = FieldDescriptorProto.LABEL_OPTIONAL
        _give_type(key, "string")
        _give_type(value, kind)
        field.type_name, field.label = f"{own}.{entry.name}", FieldDescriptorProto.LABEL_REPEATED

    def _enum(self) -> EnumDescriptorProto:
        enum = EnumDescriptorProto(name=self._next())
        self._expect("{")
        while (name := self._next()) != "}":
            self._expect("=")
            enum.value.add(name=name, number=int(self._next()))
            self._expect(";")
        return enum

    def _service(self) -> ServiceDescriptorProto:
        service = ServiceDescriptorProto(name=self._next())
        self._expect("{")
        while (word := self._next()) != "}":
            if word != "rpc":
                raise ValueError(f"{self._name}.proto: {word!r} in a service")
            method = service.method.add(name=self._next())
            method.client_streaming, method.input_type = self._in_parentheses()
            self._expect("returns")
            method.server_streaming, method.output_type = self._in_parentheses()
            self._expect(";")
        return service

    def _in_parentheses(self) -> tuple[bool, str]:
        self._expect("(")
        word = self._next()
        streams = word == "stream"
        name = self._next() if streams else word
        self._expect(")")
        return streams, name

    def _next(self) -> str:
        self._at += 1
        if self._at > len(self._tokens):
            raise ValueError(f"{self._name}.proto ends too early")
        return self._tokens[self._at - 1]

    def _expect(self, *tokens: str) -> None:
        for token in tokens:
            if (found := self._next()) != token:
                raise ValueError(f"{self._name}.proto: {found!r} where {token!r} should be")


def _give_type(field: FieldDescriptorProto, kind: str) -> None:
    if kind in _SCALARS:
        field.type = getattr(FieldDescriptorProto, f"TYPE_{kind.upper()}")
    else:
        # Whether it is a message or an enum the pool finds out, looking outwards from where the name stands.
        field.type_name = kind


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"{text[at : at + 20]!r} is not understood")
        if found[1] is not None:
            yield found[1]
        at = found.end()
