using System.Text;
using Cluster.Cli.Rendering;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Jobs;

/// <summary>
/// job submit --dry-run: what would become of the file's job, or of each of its jobs by itself, if it were submitted now.
/// </summary>
internal static class DryRun
{
    public static async Task<int> RunAsync(VerbContext context, string yaml, CancellationToken cancellationToken)
    {
        var jobs = ExperimentFile.Describes(yaml)
            ? ExperimentFile.Parse(yaml).Members.Select(member => (member.Variant, member.Spec))
            : [("", JobFile.Parse(yaml))];
        foreach (var (variant, spec) in jobs)
        {
            var request = new PreviewJobRequest { Spec = spec };
            var preview = await context.Connection.Jobs.PreviewJobAsync(request, context.Connection.Call(cancellationToken));
            foreach (var warning in preview.Warnings)
                await context.Output.RemarkAsync($"warning: {(variant.Length > 0 ? $"variant {variant}: " : "")}{warning}");
            if (context.Json)
                await (variant.Length > 0 ? context.Output.MessageAsync(preview) : context.Output.DocumentAsync(preview));
            else
                await context.Output.BlockAsync(Describe(variant, preview));
        }

        return ExitCode.Done;
    }

    /// <summary>A job file all the same: what is not of the file stands in its comments.</summary>
    private static string Describe(string variant, PreviewJobResponse preview)
    {
        var text = new StringBuilder();
        if (variant.Length > 0)
            text.Append("---\n");
        Remark("variant", variant);
        Remark("takes", Words.Takes(preview.Spec.Resources, preview.Memory));
        var start = preview.Start;
        Remark("starts", start.Placement.Count > 0
            ? $"now, on {Words.Where(start.Placement)}"
            : start.Likely is null
                ? "later; when is not known"
                : $"about {Words.Clock(start.Likely)}, with nine chances in ten before {Words.Clock(start.Late)}");
        Remark("position", start.Position > 0 ? $"{start.Position}" : "");
        Remark("waits", start.Reason);
        foreach (var sooner in start.Sooner)
            Remark("sooner", sooner);
        return text.Append(JobFile.Write(preview.Spec)).ToString();

        void Remark(string what, string words)
        {
            if (words.Length > 0)
                text.Append("# ").Append(what.PadRight(10)).Append(Printable.OneLine(words)).Append('\n');
        }
    }
}
