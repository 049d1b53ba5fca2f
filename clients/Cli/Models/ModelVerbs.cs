using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Cluster.Cli.Rendering;
using Cluster.Contracts.Catalog;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Models;

/// <summary>models, from the catalogue alone; models describe NAME, as a node builds it.</summary>
internal static class ModelVerbs
{
    public static Command Build(VerbFactory verbs)
    {
        var csv = VerbFactory.CsvOption();
        var command = verbs.Verb("models", "List the models that a job can name, with what was published of them.", async (context, _) =>
        {
            if (context.Json)
                await context.Output.BlockAsync(JsonSerializer.Serialize(ModelCatalog.All.Select(ModelLine.Of), ModelLine.Json) + "\n");
            else
                await context.Output.TableAsync(List(), context.Arguments.GetValue(csv));
            return ExitCode.Done;
        });
        command.Options.Add(csv);
        command.Validators.Add(result => verbs.Check(result, csv));
        command.Subcommands.Add(BuildDescribe(verbs));
        return command;
    }

    private static Command BuildDescribe(VerbFactory verbs)
    {
        var name = new Argument<string>("NAME") { Description = "a model, as ./cluster models lists them" };
        var options = new Option<string[]>("--option")
        {
            Description = "an option of the model; may be given again",
            HelpName = "KEY=VALUE",
        };
        var batch = new Option<int>("--batch")
        {
            Description = "images in one forward pass of one device: adds the memory that training takes",
            HelpName = "N",
        };
        var optimizer = new Option<string>("--optimizer")
        {
            Description = "what the memory is estimated for",
            HelpName = "NAME",
            DefaultValueFactory = _ => "sgd",
        };
        var precision = new Option<string>("--precision")
        {
            Description = "what the memory is estimated for",
            HelpName = "NAME",
            DefaultValueFactory = _ => "float32",
        };
        batch.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && int.TryParse(token.Value, out var images) && images < 1)
                result.AddError($"--batch is {images} but must be at least 1; use a number such as 128");
        });
        var command = verbs.Verb("describe", "Show a model's layers with their output shapes and parameters; a node builds it.",
            async (context, cancellationToken) =>
            {
                var training = Training(context.Arguments.GetRequiredValue(optimizer), context.Arguments.GetRequiredValue(precision));
                var request = new DescribeModelRequest
                {
                    Model = PublishedModel.Complete(
                        PublishedModel.Read(context.Arguments.GetRequiredValue(name), context.Arguments.GetValue(options) ?? [])),
                    BatchSize = context.Arguments.GetValue(batch),
                    Optimizer = training.Optimizer,
                    Precision = training.Precision,
                };
                var found = await context.Connection.Models.DescribeModelAsync(request, context.Connection.Call(cancellationToken));
                if (context.Json)
                    await context.Output.DocumentAsync(found);
                else
                    await context.Output.BlockAsync(Describe(found, request, context));
                return ExitCode.Done;
            });
        command.Arguments.Add(name);
        foreach (var option in new Option[] { options, batch, optimizer, precision })
            command.Options.Add(option);
        return command;
    }

    /// <summary>What a job file with that optimizer and precision would train with.</summary>
    private static Hyperparameters Training(string optimizer, string precision)
    {
        try
        {
            return JobFile.Parse(
                $"model: lenet5\ndata: mnist\nhyperparameters: {{optimizer: {JsonSerializer.Serialize(optimizer)}, precision: "
                    + $"{JsonSerializer.Serialize(precision)}}}\n").Hyperparameters;
        }
        catch (JobFileException wrong)
        {
            // There is no file whose line could be named.
            throw new JobFileException(wrong.Violations.Select(violation => violation with { Line = 0 }));
        }
    }

    private static ColumnTable List()
    {
        var table = new ColumnTable("MODEL", "FAMILY", "INPUT", "PARAMETERS", "MACS", "TOP-1", "TOP-5", "PAPER");
        foreach (var line in ModelCatalog.All.Select(ModelLine.Of))
        {
            table.Add(line.Name, line.Family, line.Input, Count(line.Parameters), Billions(line.MultiplyAdds),
                line.Top1 is { } top1 ? $"{top1.ToString("0.0##", CultureInfo.InvariantCulture)} %" : "",
                line.Top5 is { } top5 ? $"{top5.ToString("0.0##", CultureInfo.InvariantCulture)} %" : "", line.Paper);
        }

        return table;
    }

    private static string Describe(DescribeModelResponse found, DescribeModelRequest request, VerbContext context)
    {
        var model = ModelCatalog.All.Single(known => known.Name == found.Model.Name);
        var (description, text) = (found.Description, new StringBuilder());
        text.Append($"model       {model.Name}: {model.Summary}\n");
        var options = found.Model.Options.OrderBy(option => option.Key, StringComparer.Ordinal)
            .Select(option => $"{option.Key} {OptionDefinition.Text(option.Value)}");
        text.Append($"options     {string.Join(", ", options)}\n");
        text.Append($"parameters  {Count(description.Parameters)}\n");
        text.Append($"macs        {Count(description.MultiplyAdds)} for one image\n");
        if (description.Memory is { } memory)
            text.Append($"memory      {Memory(memory)}; batch {request.BatchSize}, {request.Optimizer.Name}, "
                + $"{request.Precision.ToString().ToLowerInvariant()}\n");
        var table = new ColumnTable("LAYER", "KIND", "OUTPUT", "PARAMETERS", "MACS");
        foreach (var layer in description.Layers)
            table.Add(layer.Name, layer.OnlyInTraining ? $"{layer.Kind} (training only)" : layer.Kind, string.Join('×', layer.OutputShape),
                Count(layer.Parameters), Count(layer.MultiplyAdds));
        return text.Append('\n').Append(table.Render(context.Output.IsTerminal ? context.Output.Width : null)).ToString();
    }

    /// <summary>"1.9 GiB (parameters 528 MiB, gradients …)".</summary>
    private static string Memory(MemoryEstimate memory) =>
        $"{Words.Bytes(memory.Total)} (parameters {Words.Bytes(memory.Parameters)}, gradients {Words.Bytes(memory.Gradients)}, "
        + $"optimizer {Words.Bytes(memory.OptimizerState)}, "
        + $"activations {Words.Bytes(memory.Activations)}, backward {Words.Bytes(memory.Transient)}, "
        + $"process {Words.Bytes(memory.Process)})";

    private static string Count(long count) => count == 0 ? "" : count.ToString("N0", CultureInfo.InvariantCulture);

    private static string Billions(long count) => (count / 1e9).ToString("0.0###", CultureInfo.InvariantCulture) + " G";
}
