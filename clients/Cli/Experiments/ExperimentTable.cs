using Cluster.Cli.Rendering;
using Cluster.Contracts;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Experiments;

/// <summary>An experiment's jobs side by side: what was varied and what came of it.</summary>
internal static class ExperimentTable
{
    private static readonly string[] Headings =
    [
        "VARIANT", "JOB", "STATE", "EPOCH", "TRAIN", "VALIDATION", "TEST", "TRAIN LOSS", "VALIDATION LOSS", "TEST LOSS", "TIME", "IMAGES/S",
    ];

    /// <param name="width">As in <see cref="ColumnTable.Render"/>.</param>
    public static string Text(IEnumerable<Job> jobs, TimeProvider time, int? width)
    {
        var table = new ColumnTable(Headings);
        foreach (var job in jobs)
            table.Add(Cells(job, time));
        return table.Render(width);
    }

    /// <summary>The same table for a document.</summary>
    public static string Markdown(Experiment experiment, IEnumerable<Job> jobs, TimeProvider time)
    {
        var rows = jobs.Select(job => Row(Cells(job, time)));
        return $"**{experiment.Name}** ({experiment.Id})\n\n{Row(Headings.Select(heading => heading.ToLowerInvariant()))}"
            + $"|{string.Concat(Headings.Select((_, column) => column < 3 ? "---|" : "---:|"))}\n{string.Concat(rows)}";

        static string Row(IEnumerable<string> cells) => $"| {string.Join(" | ", cells.Select(cell => cell.Replace("|", "\\|")))} |\n";
    }

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
