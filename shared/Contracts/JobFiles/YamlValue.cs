using System.Globalization;
using System.Text.RegularExpressions;
using Cluster.Contracts.V1;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Contracts.JobFiles;

/// <summary>What a scalar means, by YAML 1.2's core schema without its rarities: no octal, no hexadecimal, no infinities.</summary>
internal static partial class YamlValue
{
    /// <summary>The scalar as a value of the field's type, or null if it is none.</summary>
    public static object? As(JobField field, YamlScalar scalar)
    {
        var type = field.Descriptor;
        switch (type.FieldType)
        {
            case FieldType.String:
                return scalar.Text;
            case FieldType.Bool:
                return AsFlag(scalar);
            case FieldType.Enum:
                return field.EnumWords.Where(pair => pair.Word == scalar.Text)
                    .Select(pair => System.Enum.ToObject(type.EnumType.ClrType, pair.Number)).FirstOrDefault();
            case FieldType.Message when type.MessageType == Duration.Descriptor:
                return DurationText.TryRead(scalar.Text, out var duration) ? duration : null;
            case FieldType.Double:
                return AsNumber(scalar);
            case FieldType.UInt64:
                return scalar.IsPlain && ulong.TryParse(scalar.Text, NumberStyles.None, CultureInfo.InvariantCulture, out var natural)
                    ? natural
                    : null;
            case FieldType.Int32:
                return AsWhole(scalar) is { } whole and >= int.MinValue and <= int.MaxValue ? whole : null;
            case FieldType.Int64:
                return AsWhole(scalar);
            default:
                throw new InvalidOperationException($"{field.Path} has type {type.FieldType}, which job files cannot hold yet");
        }
    }

    /// <summary>The scalar as an option's value, its type told by its form.</summary>
    public static OptionValue Infer(YamlScalar scalar) =>
        AsFlag(scalar) is { } flag ? new OptionValue { BoolValue = flag }
        : AsWhole(scalar) is { } whole ? new OptionValue { IntValue = whole }
        : AsNumber(scalar) is { } number ? new OptionValue { DoubleValue = number }
        : new OptionValue { StringValue = scalar.Text };

    /// <summary>Whether a plain scalar of this text would be read as text and nothing else.</summary>
    public static bool IsSafePlainText(string text) =>
        SafePattern().IsMatch(text) && Infer(new YamlScalar(text, IsPlain: true, Line: 0)).KindCase == OptionValue.KindOneofCase.StringValue
        && text is not ("null" or "yes" or "no" or "on" or "off");

    public static bool? AsFlag(YamlScalar scalar) => scalar switch
    {
        { IsPlain: true, Text: "true" } => true,
        { IsPlain: true, Text: "false" } => false,
        _ => null,
    };

    public static long? AsWhole(YamlScalar scalar) =>
        scalar.IsPlain && long.TryParse(scalar.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole)
            ? whole
            : null;

    public static double? AsNumber(YamlScalar scalar) =>
        scalar.IsPlain && NumberPattern().IsMatch(scalar.Text)
        && double.TryParse(scalar.Text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number)
            ? number
            : null;

    [GeneratedRegex(@"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\z", RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex NumberPattern();

    [GeneratedRegex(@"^[A-Za-z0-9][A-Za-z0-9._/-]*\z", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex SafePattern();
}
