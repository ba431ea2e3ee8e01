"""The format of the cases in this folder: fields, each a decimal length, a line end, that many bytes, a line end."""


def write_fields(path, fields):
    with open(path, "wb") as out:
        for field in fields:
            data = field if isinstance(field, bytes) else str(field).encode()
            out.write(b"%d\n%s\n" % (len(data), data))
