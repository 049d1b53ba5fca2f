using System.Collections.Immutable;
using System.Globalization;
using Cluster.Contracts.V1;

namespace Cluster.Contracts.Catalog;

/// <summary>An option of a model: its type, what it may be and what it is when not given.</summary>
public sealed record OptionDefinition
{
    private OptionDefinition(string name, OptionKind kind, string meaning)
    {
        Name = name;
        Kind = kind;
        Meaning = meaning;
    }

    /// <summary>camelCase, as in a job file.</summary>
    public string Name { get; }

    public OptionKind Kind { get; }

    public string Meaning { get; }

    /// <summary>Null where the data set gives the default: see <see cref="DefaultFromData"/>.</summary>
    public OptionValue? Default { get; private init; }

    /// <summary>The default that the job's data set gives.</summary>
    public Func<DataDefinition, OptionValue>? DefaultFromData { get; private init; }

    /// <summary>What the values may be, in words: "28 or 32", "more than 0 and at most 1".</summary>
    public required string Allowed { get; init; }

    /// <summary>The words that a text option knows; empty for other kinds.</summary>
    public ImmutableArray<string> Words { get; private init; } = [];

    private Func<OptionValue, bool> Accepts { get; init; } = _ => true;

    public static OptionDefinition Flag(string name, bool byDefault, string meaning) =>
        new(name, OptionKind.Flag, meaning) { Default = Value(byDefault), Allowed = "true or false" };

    public static OptionDefinition Word(string name, string byDefault, ImmutableArray<string> words, string meaning) =>
        new(name, OptionKind.Word, meaning)
        {
            Default = Value(byDefault),
            Words = words,
            Allowed = string.Join(" or ", words),
            Accepts = value => words.Contains(value.StringValue),
        };

    public static OptionDefinition Whole(string name, long byDefault, long min, long max, string meaning) =>
        new(name, OptionKind.Whole, meaning)
        {
            Default = Value(byDefault),
            Allowed = $"{min} to {max}",
            Accepts = value => value.IntValue >= min && value.IntValue <= max,
        };

    /// <summary>A whole number that the data set decides unless the job file does.</summary>
    public static OptionDefinition FromData(
        string name, Func<DataDefinition, long> byDefault, string allowed, Func<long, bool> accepts, string meaning) =>
        new(name, OptionKind.Whole, meaning)
        {
            DefaultFromData = data => Value(byDefault(data)),
            Allowed = allowed,
            Accepts = value => accepts(value.IntValue),
        };

    public static OptionDefinition Number(string name, double byDefault, string allowed, Func<double, bool> accepts, string meaning) =>
        new(name, OptionKind.Number, meaning)
        {
            Default = Value(byDefault),
            Allowed = allowed,
            Accepts = value => accepts(value.DoubleValue),
        };

    /// <summary>
    /// The value in this option's own type (a whole number where a number is wanted becomes one), or null if it has another.
    /// </summary>
    public OptionValue? Coerce(OptionValue value) => (Kind, value.KindCase) switch
    {
        (OptionKind.Flag, OptionValue.KindOneofCase.BoolValue) => value,
        (OptionKind.Whole, OptionValue.KindOneofCase.IntValue) => value,
        (OptionKind.Number, OptionValue.KindOneofCase.DoubleValue) => value,
        (OptionKind.Number, OptionValue.KindOneofCase.IntValue) => Value((double)value.IntValue),
        (OptionKind.Word, OptionValue.KindOneofCase.StringValue) => value,
        _ => null,
    };

    /// <summary>A value of this option's type as a command line writes it, or null if the text is none.</summary>
    public OptionValue? Read(string text) => Kind switch
    {
        OptionKind.Flag => bool.TryParse(text, out var flag) ? Value(flag) : null,
        OptionKind.Whole =>
            long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole) ? Value(whole) : null,
        OptionKind.Number => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? Value(number) : null,
        _ => Value(text),
    };

    /// <summary>Whether a value of this option's type is one that it allows.</summary>
    public bool IsAllowed(OptionValue value) => Accepts(value);

    /// <summary>The default for a job on this data.</summary>
    public OptionValue DefaultFor(DataDefinition data) => (DefaultFromData?.Invoke(data) ?? Default)!.Clone();

    /// <summary>A value as a job file would write it.</summary>
    public static string Text(OptionValue value) => value.KindCase switch
    {
        OptionValue.KindOneofCase.BoolValue => value.BoolValue ? "true" : "false",
        OptionValue.KindOneofCase.IntValue => value.IntValue.ToString(CultureInfo.InvariantCulture),
        OptionValue.KindOneofCase.DoubleValue => value.DoubleValue.ToString("R", CultureInfo.InvariantCulture),
        OptionValue.KindOneofCase.StringValue => value.StringValue,
        _ => "empty",
    };

    private static OptionValue Value(bool value) => new() { BoolValue = value };

    private static OptionValue Value(long value) => new() { IntValue = value };

    private static OptionValue Value(double value) => new() { DoubleValue = value };

    private static OptionValue Value(string value) => new() { StringValue = value };
}

/// <summary>The types that an option can have.</summary>
public enum OptionKind
{
    /// <summary>true or false.</summary>
    Flag,

    /// <summary>A whole number.</summary>
    Whole,

    /// <summary>A whole number or a fraction.</summary>
    Number,

    /// <summary>One of a few words.</summary>
    Word,
}
