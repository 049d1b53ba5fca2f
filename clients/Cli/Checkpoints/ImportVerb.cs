using System.CommandLine;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using Cluster.Contracts.Access;
using Cluster.Contracts.Catalog;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;
using Google.Protobuf;
using Grpc.Core;

namespace Cluster.Cli.Checkpoints;

/// <summary>checkpoint import FILE: weights from elsewhere, for jobs to begin with.</summary>
internal static class ImportVerb
{
    private const int ChunkBytes = 1 << 20;

    public static Command Build(VerbFactory verbs)
    {
        var file = new Argument<string>("FILE") { Description = "a safetensors file whose tensors have PyTorch's names" };
        var model = new Option<string>("--model")
        {
            Description = "the network that the weights are of",
            HelpName = "NAME",
            Required = true,
        };
        var options = new Option<string[]>("--option")
        {
            Description = "an option of that network; may be given again",
            HelpName = "KEY=VALUE",
        };
        var command = verbs.Verb("import",
            "Store a safetensors file as a checkpoint. Its header is checked now; names and shapes by the first job that begins with it.",
            (context, cancellationToken) => RunAsync(
                context, context.Arguments.GetRequiredValue(file),
                ModelOf(context.Arguments.GetRequiredValue(model), context.Arguments.GetValue(options) ?? []), cancellationToken));
        command.Arguments.Add(file);
        command.Options.Add(model);
        command.Options.Add(options);
        return command;
    }

    private static ModelSpec ModelOf(string name, string[] options)
    {
        var model = new ModelSpec { Name = name };
        _ = ModelCatalog.TryGet(name, out var known);
        foreach (var given in options)
        {
            if (given.Split('=', 2) is not [var key, var text])
                throw new CliException(ExitCode.Usage, $"--option is {given} but must be KEY=VALUE; write it as width=0.5");
            model.Options[key] = known?.Option(key)?.Read(text) ?? new OptionValue { StringValue = text };
        }

        var faults = JobSpecValidator.CheckModel(model);
        return faults.Count == 0 ? model : throw new JobFileException(faults);
    }

    private static async Task<int> RunAsync(VerbContext context, string path, ModelSpec model, CancellationToken cancellationToken)
    {
        try
        {
            await using var file = File.OpenRead(path);
            CheckHeader(file);
            var stored = await SendAsync(
                context, file, new ImportedFile { Name = Path.GetFileName(path), Bytes = file.Length, Model = model }, cancellationToken);
            if (context.Json)
                await context.Output.DocumentAsync(stored);
            else
                await context.Output.LineAsync(
                    $"checkpoint {stored.Id}: {stored.Source}, {stored.Bytes} bytes, for {stored.Model.Name}; "
                        + "the first job that begins with it checks its names and shapes");
            return ExitCode.Done;
        }
        catch (InvalidDataException fault)
        {
            throw new CliException(
                ExitCode.Usage, $"FILE is {path} but cannot be imported: {fault.Message}; write it again as a safetensors file");
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new CliException(
                ExitCode.Usage, $"FILE is {path} but cannot be read ({fault.Message}); name a safetensors file that you may read");
        }
    }

    /// <summary>Before the upload, which may be long.</summary>
    private static void CheckHeader(FileStream file)
    {
        var length = new byte[Math.Min(sizeof(long), file.Length)];
        file.ReadExactly(length);
        var header = new byte[SafetensorsReader.HeaderBytes(length, file.Length)];
        file.ReadExactly(header);
        SafetensorsReader.ParseHeader(header, file.Length - sizeof(long) - header.Length);
        file.Position = 0;
    }

    private static async Task<Checkpoint> SendAsync(
        VerbContext context, FileStream file, ImportedFile announced, CancellationToken cancellationToken)
    {
        await context.Connection.FindSchedulerAsync(cancellationToken);
        using var call = context.Connection.Checkpoints.ImportCheckpoint(context.Connection.Stream(cancellationToken));
        return (await call.SendAsync(MessagesAsync(file, announced, cancellationToken), cancellationToken)).Checkpoint;
    }

    private static async IAsyncEnumerable<ImportCheckpointRequest> MessagesAsync(
        FileStream file, ImportedFile announced, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        yield return new ImportCheckpointRequest { File = announced };
        var buffer = new byte[ChunkBytes];
        int read;
        while ((read = await file.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken)) > 0)
        {
            var chunk = new PutChunksRequest
            {
                Sha256 = ByteString.CopyFrom(SHA256.HashData(buffer.AsSpan(0, read))),
                Data = UnsafeByteOperations.UnsafeWrap(buffer.AsMemory(0, read)),
            };
            yield return new ImportCheckpointRequest { Chunk = chunk };
        }
    }
}
