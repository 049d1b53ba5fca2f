using System.Collections;
using Google.Protobuf;
using Google.Protobuf.Reflection;

namespace Cluster.Tests.Shared;

/// <summary>
/// Makes messages by their descriptors: fields unset, at their bounds and beyond, and texts that mean something to who reads them; and
/// changes messages that are right in a few places, which get past the first checks.
/// </summary>
/// <param name="random">By whose seed the same messages come again.</param>
/// <param name="known">Ids, names and files that exist.</param>
/// <param name="samples">Right messages of types that random fields would hardly make.</param>
internal sealed class MessageFuzzer(Random random, IReadOnlyList<string> known, IReadOnlyList<IMessage> samples)
{
    private const int DeepestMade = 5;

    private static readonly string[] Texts =
    [
        "", " ", "a", "0", "-1", "1", "..", "../../etc/passwd", "/etc/passwd", "a/b", "a\0b", "\0", "a\nb", "\r\n", "\u001b[31m", "\u202E",
        "😀", "é", "'; drop table jobs; --", "%", "_", "\\", "\"", "{}", "[]", "null", "NaN", "<script>alert(1)</script>",
        "{{7*7}}", "$(id)",
        "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "deadbeef", "0f3c", "n00.0",
        "7fffffffffffffff.0",
        "ffffffffffffffff.00000000000000000000000000000000", "n00.00000000000000000000000000000000", "http://127.0.0.1:1",
        "http://0.0.0.0:1",
        "file:///etc/passwd", "https://", "http://[::1", "model: lenet5", "model: [", "default", "cpu:0", "train.loss", "train",
        new string('a', 300), new string('b', 70_000),
    ];

    private static readonly long[] Numbers =
        [0, 1, -1, 2, 3, 7, 100, 1000, 1001, 65_535, 1_000_000, int.MaxValue, int.MinValue, long.MaxValue, long.MinValue];

    private static readonly double[] Reals =
        [0, -0.0, 1, -1, 0.5, 1e-300, 1e300, double.MaxValue, double.Epsilon, double.NaN, double.PositiveInfinity, double.NegativeInfinity];

    public IMessage Make(MessageDescriptor type) => Make(type, depth: 0);

    /// <summary>The message as it is sent, now and then with bytes that are not its.</summary>
    public byte[] Bytes(IMessage message)
    {
        var bytes = message.ToByteArray();
        if (random.Next(10) > 0 || bytes.Length == 0)
            return bytes;
        for (var changes = random.Next(1, 4); changes > 0; changes--)
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        return random.Next(3) == 0 ? bytes[..random.Next(bytes.Length)] : bytes;
    }

    private IMessage Make(MessageDescriptor type, int depth)
    {
        if (random.Next(4) > 0 && samples.FirstOrDefault(sample => sample.Descriptor == type) is { } sample)
        {
            var changed = type.Parser.ParseFrom(sample.ToByteString());
            for (var changes = random.Next(4); changes > 0; changes--)
                Change(changed);
            return changed;
        }

        var message = type.Parser.ParseFrom(ByteString.Empty);
        foreach (var field in type.Fields.InDeclarationOrder().Where(_ => random.Next(3) > 0))
            Fill(message, field, depth);
        return message;
    }

    /// <summary>One field of it, or of a message in it.</summary>
    private void Change(IMessage message)
    {
        var fields = message.Descriptor.Fields.InDeclarationOrder();
        if (fields.Count == 0)
            return;
        var field = fields[random.Next(fields.Count)];
        if (!field.IsRepeated && field.FieldType == FieldType.Message && field.Accessor.GetValue(message) is IMessage inner
            && random.Next(4) > 0)
            Change(inner);
        else if (random.Next(5) == 0)
            field.Accessor.Clear(message);
        else
            Fill(message, field, DeepestMade - 1);
    }

    private void Fill(IMessage message, FieldDescriptor field, int depth)
    {
        if (field.FieldType == FieldType.Message && depth >= DeepestMade)
            return;
        if (field.IsMap)
        {
            var entries = (IDictionary)field.Accessor.GetValue(message);
            for (var count = random.Next(3); count > 0; count--)
                entries[Value(field.MessageType.FindFieldByNumber(1), depth)] = Value(field.MessageType.FindFieldByNumber(2), depth);
        }
        else if (field.IsRepeated)
        {
            var list = (IList)field.Accessor.GetValue(message);
            for (var count = random.Next(50) == 0 ? 500 : random.Next(4); count > 0; count--)
                list.Add(Value(field, depth + (list.Count > 3 ? DeepestMade : 0)));
        }
        else
        {
            field.Accessor.SetValue(message, Value(field, depth));
        }
    }

    private object Value(FieldDescriptor field, int depth) => field.FieldType switch
    {
        FieldType.Message => Make(field.MessageType, depth + 1),
        FieldType.String => Text(),
        FieldType.Bytes => ByteString.CopyFrom(Random(random.Next(3) == 0 ? 32 : random.Next(100))),
        FieldType.Bool => random.Next(2) == 0,
        FieldType.Double => Reals[random.Next(Reals.Length)],
        FieldType.Float => (float)Reals[random.Next(Reals.Length)],
        FieldType.Enum => Enum.ToObject(field.EnumType.ClrType, random.Next(5) == 0 ? (int)Number() : random.Next(8)),
        FieldType.Int32 or FieldType.SInt32 or FieldType.SFixed32 => unchecked((int)Number()),
        FieldType.UInt32 or FieldType.Fixed32 => unchecked((uint)Number()),
        FieldType.UInt64 or FieldType.Fixed64 => unchecked((ulong)Number()),
        _ => Number(),
    };

    private long Number() => random.Next(4) == 0 ? random.Next(-100, 100) : Numbers[random.Next(Numbers.Length)];

    private string Text() => random.Next(3) > 0 ? known[random.Next(known.Count)] : Texts[random.Next(Texts.Length)];

    private byte[] Random(int count)
    {
        var bytes = new byte[count];
        random.NextBytes(bytes);
        return bytes;
    }
}
