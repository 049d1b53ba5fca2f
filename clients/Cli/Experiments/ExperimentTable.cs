using Cluster.Cli.Rendering;
using Cluster.Contracts;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Experiments;

/// <summary>An experiment's jobs side by side: what was varied and what came of it.</summary>
/// <param name="Goal">Null: none was asked for.</param>
/// <param name="Reached">When each job got there, in the jobs' order; empty without a goal.</param>
internal sealed record ExperimentTable(IReadOnlyList<Job> Jobs, Goal? Goal, IReadOnlyList<string> Reached)
{
    // Of words, to the left; the others are numbers.
    private const int WordColumns = 3;

    private static readonly string[] Figures =
    [
        "VARIANT", "JOB", "STATE", "EPOCH", "TRAIN", "VALIDATION", "TEST", "TRAIN LOSS", "VALIDATION LOSS", "TEST LOSS", "TIME", "IMAGES/S",
    ];

    public static ExperimentTable Of(IEnumerable<Job> jobs) => new([.. jobs], null, []);

    private string[] Headings => Goal is null ? Figures : [.. Figures, Goal.ToString().ToUpperInvariant()];

    /// <param name="width">As in <see cref="ColumnTable.Render"/>.</param>
    public string Text(TimeProvider time, int? width)
    {
        var table = new ColumnTable(Headings);
        foreach (var cells in Rows(time))
            table.Add(cells);
        return table.Render(width);
    }

    /// <summary>The same table for a document.</summary>
    public string Markdown(Experiment experiment, TimeProvider time)
    {
        return $"**{experiment.Name}** ({experiment.Id})\n\n{Row(Headings.Select(heading => heading.ToLowerInvariant()))}"
            + $"|{string.Concat(Headings.Select((_, column) => column < WordColumns ? "---|" : "---:|"))}\n"
            + string.Concat(Rows(time).Select(Row));

        static string Row(IEnumerable<string> cells) => $"| {string.Join(" | ", cells.Select(cell => cell.Replace("|", "\\|")))} |\n";
    }

    private IEnumerable<string[]> Rows(TimeProvider time) =>
        Jobs.Select((job, index) => Goal is null ? Cells(job, time) : [.. Cells(job, time), Reached[index]]);

    private static string[] Cells(Job job, TimeProvider time)
    {
        var progress = job.Progress ?? new Progress();
        return
        [
            job.Variant, Words.Short(job.Id), job.State.Word(), progress.Epochs > 0 ? Words.Epoch(progress) : "",
            progress.HasTrainAccuracy ? Words.Percent(progress.TrainAccuracy) : "",
            progress.HasValidationAccuracy ? Words.Percent(progress.ValidationAccuracy) : "",
            progress.HasTestAccuracy ? Words.Percent(progress.TestAccuracy) : "",
            progress.HasTrainLoss ? Words.Loss(progress.TrainLoss) : "",
            progress.HasValidationLoss ? Words.Loss(progress.ValidationLoss) : "",
            progress.HasTestLoss ? Words.Loss(progress.TestLoss) : "",
            Words.RunTime(job.StartedAt, job.FinishedAt, time) is { } ran ? Words.Length(ran) : "",
            progress.HasSamplesPerSecond ? Words.Rate(progress.SamplesPerSecond) : "",
        ];
    }
}
