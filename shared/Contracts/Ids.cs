using System.Diagnostics.CodeAnalysis;

namespace Cluster.Contracts;

/// <summary>A job, and the run that it is: both carry the same id.</summary>
/// <param name="Value">A UUID made by the scheduler.</param>
public readonly record struct JobId(Guid Value)
{
    public static JobId New() => new(Guid.NewGuid());

    /// <summary>Reads a whole id in the form that <see cref="ToString"/> writes.</summary>
    /// <exception cref="FormatException"><paramref name="text"/> is no UUID in the dashed form.</exception>
    public static JobId Parse(string text) => new(Guid.ParseExact(text, "D"));

    /// <summary>As <see cref="Parse"/>, without the exception.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out JobId id)
    {
        var parsed = Guid.TryParseExact(text, "D", out var value);
        id = new JobId(value);
        return parsed;
    }

    /// <summary>Lower-case, dashed: what is printed, stored and sent.</summary>
    public override string ToString() => Value.ToString("D");
}

/// <summary>A file of variants, whose jobs belong together.</summary>
/// <param name="Value">A UUID made by the scheduler.</param>
public readonly record struct ExperimentId(Guid Value)
{
    /// <summary>Lower-case, dashed: what is printed, stored and sent.</summary>
    public override string ToString() => Value.ToString("D");
}

/// <summary>A machine that runs a worker agent.</summary>
/// <param name="Value">A UUID that the agent keeps in its state folder, so that it outlives restarts.</param>
public readonly record struct NodeId(Guid Value)
{
    public static NodeId New() => new(Guid.NewGuid());

    /// <summary>Reads a whole id in the form that <see cref="ToString"/> writes.</summary>
    /// <exception cref="FormatException"><paramref name="text"/> is no UUID in the dashed form.</exception>
    public static NodeId Parse(string text) => new(Guid.ParseExact(text, "D"));

    /// <summary>As <see cref="Parse"/>, without the exception.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out NodeId id)
    {
        var parsed = Guid.TryParseExact(text, "D", out var value);
        id = new NodeId(value);
        return parsed;
    }

    /// <summary>Lower-case, dashed: what is printed, stored and sent.</summary>
    public override string ToString() => Value.ToString("D");
}
