using System.CommandLine;
using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Checkpoints;

/// <summary>checkpoint download ID: the weights as one file that PyTorch loads, put together here from whatever split wrote them.</summary>
internal static class DownloadVerb
{
    private const string Extension = ".safetensors";
    private const string OptimizerFile = "optimizer" + Extension;

    public static Command Build(VerbFactory verbs)
    {
        var id = new Argument<string>("ID") { Description = "the checkpoint, by its id or a unique beginning of it" };
        var output = new Option<string?>("--output", "-o")
        {
            Description = "a folder, or a file that ends in .safetensors (otherwise a file named after the checkpoint)",
            HelpName = "PATH",
        };
        var everything = new Option<bool>("--with-optimizer")
        {
            Description = "the optimizer's state and the position too; the output is a folder then",
        };
        var command = verbs.Verb("download", "Write a checkpoint's weights into one safetensors file under PyTorch's names.",
            (context, cancellationToken) => RunAsync(
                context, context.Arguments.GetRequiredValue(id), context.Arguments.GetValue(output), context.Arguments.GetValue(everything),
                cancellationToken));
        command.Arguments.Add(id);
        command.Options.Add(output);
        command.Options.Add(everything);
        return command;
    }

    public static async Task<int> RunAsync(
        VerbContext context, string id, string? output, bool everything, CancellationToken cancellationToken)
    {
        if (everything && output?.EndsWith(Extension, StringComparison.Ordinal) == true)
            throw new CliException(ExitCode.Usage, $"--output is {output} but --with-optimizer writes several files; name a folder");
        var found = await context.Connection.Checkpoints.DescribeCheckpointAsync(
            new DescribeCheckpointRequest { CheckpointId = id }, context.Connection.Call(cancellationToken));
        var stream = new CheckpointStream(context.Connection.Checkpoints, found.Checkpoint.Id, context.Connection.Stream);
        var name = $"checkpoint-{found.Checkpoint.Id}";
        var model = output switch
        {
            null => everything ? Path.Combine(name, CheckpointLayout.ModelFile) : name + Extension,
            _ when output.EndsWith(Extension, StringComparison.Ordinal) => output,
            _ => Path.Combine(output, CheckpointLayout.ModelFile),
        };
        if (Path.GetDirectoryName(model) is { Length: > 0 } folder)
            Directory.CreateDirectory(folder);

        try
        {
            await MergeAsync(context, stream, found.Manifest, file => CheckpointLayout.HoldsWeights(file), model, cancellationToken);
            if (everything)
                await WriteOthersAsync(context, stream, found.Manifest, Path.GetDirectoryName(model)!, cancellationToken);
        }
        catch (InvalidDataException fault)
        {
            throw new CliException(ExitCode.Failed,
                $"checkpoint {found.Checkpoint.Id}: {fault.Message}; try again, and look at the scheduler's database if it stays so");
        }

        if (context.Json)
            await context.Output.DocumentAsync(found.Checkpoint);
        return ExitCode.Done;
    }

    private static async Task WriteOthersAsync(
        VerbContext context, CheckpointStream stream, CheckpointManifest manifest, string folder, CancellationToken cancellationToken)
    {
        var isTensors = (string file) => file.EndsWith(Extension, StringComparison.Ordinal) && !CheckpointLayout.HoldsWeights(file);
        if (manifest.Files.Any(file => isTensors(file.Name)))
            await MergeAsync(context, stream, manifest, isTensors, Path.Combine(folder, OptimizerFile), cancellationToken);
        foreach (var file in manifest.Files.Where(file => !file.Name.EndsWith(Extension, StringComparison.Ordinal)))
        {
            await NewFile.WriteAsync(Path.Combine(folder, Path.GetFileName(file.Name)), async target =>
            {
                await foreach (var chunk in stream.ChunksAsync(file, cancellationToken))
                    await target.WriteAsync(chunk, cancellationToken);
            });
        }
    }

    private static async Task MergeAsync(
        VerbContext context, CheckpointStream stream, CheckpointManifest manifest, Func<string, bool> isWanted, string path,
        CancellationToken cancellationToken)
    {
        var merged = await MergedWeights.PlanAsync(stream, manifest, isWanted, cancellationToken);
        await NewFile.WriteAsync(path, async target =>
        {
            target.SetLength(merged.Bytes);
            await merged.CopyAsync((begin, content) => RandomAccess.Write(target.SafeFileHandle, content, begin), cancellationToken);
        });
        if (!context.Json)
            await context.Output.LineAsync($"{path}: {merged.Bytes} bytes");
    }
}
