"""Messages as rows: dictionaries of plain values, which pandas.DataFrame takes as they are."""
from google.protobuf.descriptor import FieldDescriptor

TIMESTAMP, DURATION = "google.protobuf.Timestamp", "google.protobuf.Duration"


def word(enum, number):
    """"running" for JOB_STATE_RUNNING."""
    prefix = "".join("_" + letter if letter.isupper() else letter.upper() for letter in enum.name).lstrip("_") + "_"
    value = enum.values_by_number.get(number)
    return str(number) if value is None else value.name.removeprefix(prefix).lower()


def flat(message, prefix=""):
    """A message's fields under their paths in JSON's names ("model.options.activation"); None where a field that may be unset is."""
    row = {}
    for field in message.DESCRIPTOR.fields:
        path, value = prefix + field.json_name, getattr(message, field.name)
        if field.label == FieldDescriptor.LABEL_REPEATED:
            if field.message_type is not None and field.message_type.GetOptions().map_entry:
                row.update({f"{path}.{key}": _plain(field.message_type.fields_by_name["value"], value[key]) for key in value})
        elif field.message_type is None:
            is_unset = field.containing_oneof is not None and not message.HasField(field.name)
            row[path] = None if is_unset else _plain(field, value)
        elif field.message_type.full_name in (TIMESTAMP, DURATION):
            row[path] = _plain(field, value) if message.HasField(field.name) else None
        else:
            row.update(flat(value, path + "."))
    return row


def _plain(field, value):
    if field.enum_type is not None:
        return word(field.enum_type, value)
    if field.message_type is None:
        return value
    if field.message_type.full_name == TIMESTAMP:
        return value.ToDatetime()
    if field.message_type.full_name == DURATION:
        return value.ToTimedelta()
    kind = value.WhichOneof("kind")  # an option's value
    return None if kind is None else getattr(value, kind)
