using Cluster.Contracts;
using Cluster.Contracts.V1;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Cluster.Cli.Rendering;

/// <summary>One job on a terminal: a line of state, a bar, a line of figures.</summary>
internal static class JobView
{
    private const int LongestBar = 40;

    public static IRenderable Render(Job job, TimeProvider time, int width)
    {
        var ran = Words.RunTime(job.StartedAt, job.FinishedAt, time) is { } length ? Words.Length(length) : "";
        var head = $"[bold]{Markup.Escape(Printable.OneLine(job.Spec.Name))}[/] {Words.Short(job.Id)}  "
            + $"[{Colour(job.State)}]{job.State.Word()}[/]  {ran}";
        var rows = new List<IRenderable> { new Markup(head) };
        if (Note(job) is { Length: > 0 } note)
            rows.Add(Line(note, width));
        rows.Add(new Markup(Bar(job, Math.Min(LongestBar, width - 10))));
        if (Words.Figures(job.Progress) is { Length: > 0 } figures)
            rows.Add(Line(figures, width));
        return new Rows(rows);
    }

    public static string Colour(JobState state) => state switch
    {
        JobState.Succeeded => "green",
        JobState.Failed => "red",
        JobState.Cancelled => "grey",
        JobState.Running => "blue",
        _ => "yellow",
    };

    /// <summary>Steps done of steps to do, in markup.</summary>
    public static string Bar(Job job, int columns)
    {
        var share = Share(job);
        var full = (int)Math.Round(share * columns);
        return $"[{Colour(job.State)}]{new string('━', full)}[/][grey]{new string('─', columns - full)}[/] {share * 100,3:F0} %";
    }

    private static double Share(Job job) => job switch
    {
        { State: JobState.Succeeded } => 1,
        { Progress: { Steps: > 0 } progress } => Math.Clamp((double)progress.Step / progress.Steps, 0, 1),
        _ => 0,
    };

    private static string Note(Job job)
    {
        var parts = new List<string>();
        if (job.Reason.Length > 0)
            parts.Add(job.Reason);
        if (job.Queue is { Position: > 0 } queue)
            parts.Add(Words.Position(queue));
        if (job.Restarts > 0)
            parts.Add($"restarts {job.Restarts}");
        if (job.Placement.Count > 0)
            parts.Add(Words.Where(job.Placement));
        return string.Join("; ", parts);
    }

    private static Text Line(string text, int width) => new(Printable.Cut(Printable.OneLine(text), width));
}
