using System.CommandLine;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Jobs;

/// <summary>validate FILE: prints the job file with every default written down, or what is wrong with it.</summary>
internal static class ValidateVerb
{
    public static Command Build(VerbFactory verbs)
    {
        var file = new Argument<string>("FILE") { Description = "job file, or - for standard input" };
        var offline = new Option<bool>("--offline") { Description = "check the file alone, and not whether the cluster could run it" };
        var command = verbs.Verb("validate", "Check a job file and print it with every default written down; nothing is stored.",
            async (context, cancellationToken) =>
            {
                var path = context.Arguments.GetRequiredValue(file);
                var yaml = await JobFileText.ReadAsync(path, context.Host.In, cancellationToken);
                if (ExperimentFile.Describes(yaml))
                    return await ValidateExperimentAsync(context, path, yaml, context.Arguments.GetValue(offline), cancellationToken);
                var spec = JobFile.Parse(yaml);
                if (!context.Arguments.GetValue(offline))
                {
                    var request = new ValidateJobRequest { Yaml = yaml };
                    spec = (await context.Connection.Jobs.ValidateJobAsync(request, context.Connection.Call(cancellationToken))).Spec;
                }

                foreach (var warning in JobSpecWarnings.Of(spec))
                    await context.Output.RemarkAsync($"warning: {warning}");
                if (context.Json)
                    await context.Output.DocumentAsync(spec);
                else
                    await context.Output.BlockAsync(
                        $"# {Rendering.Printable.OneLine(path)} is valid; with every default written down:\n{JobFile.Write(spec)}");
                return ExitCode.Done;
            });
        command.Arguments.Add(file);
        command.Options.Add(offline);
        return command;
    }

    private static async Task<int> ValidateExperimentAsync(
        VerbContext context, string path, string yaml, bool isOffline, CancellationToken cancellationToken)
    {
        var plan = ExperimentFile.Parse(yaml);
        var valid = new ValidateExperimentResponse
        {
            Name = plan.Name,
            Variants = { plan.Members.Select(member => new Variant { Name = member.Variant, Spec = member.Spec }) },
        };
        if (!isOffline)
        {
            var request = new ValidateExperimentRequest { Yaml = yaml };
            valid = await context.Connection.Experiments.ValidateExperimentAsync(request, context.Connection.Call(cancellationToken));
        }

        if (context.Json)
        {
            await context.Output.DocumentAsync(valid);
            return ExitCode.Done;
        }

        await context.Output.BlockAsync(
            $"# {Rendering.Printable.OneLine(path)} is valid; its {valid.Variants.Count} jobs with every default written down:\n");
        foreach (var variant in valid.Variants)
        {
            foreach (var warning in JobSpecWarnings.Of(variant.Spec))
                await context.Output.RemarkAsync($"warning: variant {variant.Name}: {warning}");
            await context.Output.BlockAsync($"---\n# variant {Rendering.Printable.OneLine(variant.Name)}\n{JobFile.Write(variant.Spec)}");
        }

        return ExitCode.Done;
    }
}
