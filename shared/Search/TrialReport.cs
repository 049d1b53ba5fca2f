namespace Cluster.Search;

/// <summary>What has become of a trial.</summary>
/// <param name="Trial">From 0, in the order of their making.</param>
public abstract record TrialReport(int Trial)
{
    /// <summary>It has trained as far as it was to.</summary>
    /// <param name="Length">So far, in epochs.</param>
    /// <param name="Metric">Not finite: it has diverged.</param>
    public sealed record Reached(int Trial, int Length, double Metric) : TrialReport(Trial);

    /// <summary>It ended before: it failed for good, or somebody cancelled it.</summary>
    public sealed record Failed(int Trial) : TrialReport(Trial);

    /// <summary>No training is possible with its settings.</summary>
    public sealed record Invalid(int Trial) : TrialReport(Trial);
}

/// <summary>What is to be done next.</summary>
public abstract record SearchAction
{
    /// <summary>Make a trial, and train it to a length.</summary>
    public sealed record Create(int Trial, int Length) : SearchAction;

    /// <summary>Let a trial that has paused at a rung train on, to a length.</summary>
    public sealed record Continue(int Trial, int Length) : SearchAction;

    /// <summary>A trial that has paused at a rung is over.</summary>
    /// <param name="Why">Reads on from "after epoch 3 of 9: ".</param>
    public sealed record Stop(int Trial, string Why) : SearchAction;

    /// <summary>There is no more to do; always the last.</summary>
    public sealed record Close : SearchAction;
}
