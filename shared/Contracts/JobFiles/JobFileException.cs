using System.Collections.Immutable;
using System.Globalization;
using System.Text;

namespace Cluster.Contracts.JobFiles;

/// <summary>One thing wrong with a job description, and what to do about it.</summary>
/// <param name="Field">Path in the job file: "hyperparameters.optimizer.learningRate".</param>
/// <param name="Value">What stands there, as written; null where nothing does.</param>
/// <param name="Problem">Reads on from "field is value but": "must be more than 0".</param>
/// <param name="Remedy">What to write instead.</param>
/// <param name="Line">Line in the job file from 1; 0 for a description that came as a message.</param>
public sealed record JobFileViolation(string Field, string? Value, string Problem, string Remedy, int Line = 0)
{
    private const int LongestShown = 60;

    /// <summary>The variant of an experiment that it is about; empty for a job by itself, and for what concerns all variants.</summary>
    public string Variant { get; init; } = "";

    /// <summary>One line: "line 7: resources.devices is 0 but must be at least 1; …".</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        if (Line > 0)
            text.Append(CultureInfo.InvariantCulture, $"line {Line}: ");
        if (Variant.Length > 0)
            text.Append("variant ").Append(Shown(Variant)).Append(": ");
        text.Append(Field).Append(' ');
        if (Value is not null)
            text.Append("is ").Append(Shown(Value)).Append(" but ");
        return text.Append(Problem).Append("; ").Append(Remedy).ToString();
    }

    /// <summary>Somebody else's text on one short line, so that it can neither fill nor fake an output.</summary>
    internal static string Shown(string value, int longest = LongestShown)
    {
        var text = new StringBuilder();
        foreach (var character in value.Length > longest ? value[..longest] : value)
            text.Append(char.IsControl(character) ? ' ' : character);
        return value.Length > longest ? text.Append('…').ToString() : text.ToString();
    }
}

/// <summary>A job description that cannot be accepted: the caller's mistake, never the system's.</summary>
public sealed class JobFileException : Exception
{
    public JobFileException(IEnumerable<JobFileViolation> violations)
        : this([.. violations], isTooLarge: false)
    {
    }

    private JobFileException(ImmutableArray<JobFileViolation> violations, bool isTooLarge)
        : base(OneLine(violations))
    {
        Violations = violations;
        IsTooLarge = isTooLarge;
    }

    /// <summary>In the order of the file; at least one.</summary>
    public ImmutableArray<JobFileViolation> Violations { get; }

    /// <summary>The file was not read at all because of its size: ResourceExhausted over gRPC, where all else is InvalidArgument.</summary>
    public bool IsTooLarge { get; }

    internal static JobFileException TooLarge(long bytes) => new(
        [
            new JobFileViolation("job file", $"{bytes} bytes long", $"must be at most {JobFile.MaxBytes}",
                "name models and data by their catalogue names instead of writing them out"),
        ],
        isTooLarge: true);

    private static string OneLine(ImmutableArray<JobFileViolation> violations) => violations.Length switch
    {
        0 => throw new ArgumentException("at least one violation is needed", nameof(violations)),
        1 => violations[0].ToString(),
        var count => $"{violations[0]} (and {count - 1} more: {string.Join(", ", violations.Skip(1).Take(5).Select(v => v.Field))})",
    };
}
