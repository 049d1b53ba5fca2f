using Cluster.Cli.Rendering;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Cluster.Cli.Experiments;

/// <summary>An experiment on a terminal while its jobs go on: a line of state, and a line with a bar a job.</summary>
internal static class ExperimentView
{
    private const int BarColumns = 16;

    public static IRenderable Render(Experiment experiment, IEnumerable<Job> jobs, int width)
    {
        var head = $"{Printable.OneLine(experiment.Name)} {Words.Short(experiment.Id)}  {ExperimentLines.States(experiment)}";
        var grid = new Grid { Width = width };
        for (var column = 0; column < 7; column++)
            grid.AddColumn(new GridColumn().NoWrap());
        grid.AddRow("[grey]variant[/]", "[grey]state[/]", "", "[grey]epoch[/]", "[grey]loss[/]", "[grey]train[/]", "[grey]validation[/]");
        foreach (var job in jobs)
        {
            var progress = job.Progress ?? new Contracts.V1.Progress();
            grid.AddRow(
                Markup.Escape(Printable.OneLine(job.Variant)),
                $"[{JobView.Colour(job.State)}]{job.State.Word()}[/]",
                JobView.Bar(job, BarColumns),
                progress.Epochs > 0 ? Words.Epoch(progress) : "",
                progress.HasTrainLoss ? Words.Loss(progress.TrainLoss) : "",
                progress.HasTrainAccuracy ? Words.Percent(progress.TrainAccuracy) : "",
                progress.HasValidationAccuracy ? Words.Percent(progress.ValidationAccuracy) : "");
        }

        return new Rows(new Text(Printable.Cut(head, width)), grid);
    }
}
