using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Cluster.Bench.Measuring;
using Cluster.Bench.Reporting;
using Cluster.Bench.Zoo;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Worker.Agent;
using Cluster.Worker.Describing;

namespace Cluster.Bench.Memory;

/// <summary><c>bench memory</c>: what trainer processes take at most, beside the estimate that the scheduler places them by.</summary>
internal static class MemoryVerb
{
    /// <summary>By how much of what is measured an estimate may be off.</summary>
    private const double Allowed = 0.2;

    private static readonly JsonSerializerOptions Json = new(JsonSerializerOptions.Web)
    {
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static Command Build()
    {
        var json = new Option<bool>("--json")
        {
            Description = "print one JSON object a line: model, input, batch, optimizer, precision, estimatedBytes, measuredBytes",
        };
        var only = new Option<string[]>("--only")
        {
            Description = "models to measure instead of all",
            AllowMultipleArgumentsPerToken = true,
        };
        var threads = new Option<int>("--threads") { Description = "threads of a trainer", DefaultValueFactory = _ => 1 };
        var command = new Command(
            "memory", $"what training takes beside what is estimated; exit code 1 if an estimate is off by more than {Allowed:P0}")
        {
            json,
            only,
            threads,
        };
        command.SetAction(async (arguments, cancellationToken) =>
        {
            var chosen = arguments.GetValue(only) ?? [];
            if (chosen.FirstOrDefault(name => !Array.Exists(MemoryCase.All, one => one.Model == name)) is { } unknown)
            {
                await Console.Error.WriteLineAsync($"--only is {unknown} but that is not measured; "
                    + $"choose of {string.Join(", ", MemoryCase.All.Select(one => one.Model).Distinct())}");
                return 2;
            }

            return await RunAsync(Array.FindAll(MemoryCase.All, one => chosen.Length == 0 || chosen.Contains(one.Model)),
                arguments.GetValue(threads), arguments.GetValue(json), cancellationToken);
        });
        return command;
    }

    private static async Task<int> RunAsync(MemoryCase[] cases, int threads, bool json, CancellationToken cancellationToken)
    {
        var report = new RatioReport(json, Console.Out, Console.Error);
        BenchEnvironment.Print(report);
        report.Note(
            $"one trainer process of one rank each, {threads} threads, in a trainer's own environment: {MemoryTrainer.Steps} steps, "
                + "a checkpoint on its way in the last of them");
        if (!json)
            Console.WriteLine(MemoryRow.Head);
        var passed = true;
        foreach (var one in cases)
        {
            var row = new MemoryRow(one.Model, one.Input, one.Batch, one.Optimizer, one.Precision, Estimate(one.Spec),
                await MeasureAsync(one, threads, cancellationToken));
            Console.WriteLine(json ? JsonSerializer.Serialize(row, Json) : row.ToString());
            passed &= Math.Abs(row.Ratio - 1) <= Allowed;
        }

        return passed ? 0 : 1;
    }

    /// <summary>As a node answers when a job is submitted.</summary>
    private static long Estimate(JobSpec spec)
    {
        var answer = ModelDescriber.Answer(new ModelQuery
        {
            Model = spec.Model,
            RankBatchSize = spec.Hyperparameters.GlobalBatchSize,
            Optimizer = spec.Hyperparameters.Optimizer,
            Precision = spec.Hyperparameters.Precision,
        });
        return answer.Description?.Memory.Total ?? throw new InvalidOperationException(answer.Fault);
    }

    private static async Task<long> MeasureAsync(MemoryCase one, int threads, CancellationToken cancellationToken)
    {
        var dataRoot = new AgentOptions().DataRoot;
        await using var trainer = MeasuredProcess.StartOurs(
            TrainerPlace.Of(ZooTrainer.Launch(one.Spec, threads, dataRoot)), MemoryTrainer.Verb);
        await trainer.SendAsync(new ZooOrder(one.Yaml, threads, dataRoot));
        return await trainer.ReceiveAsync<long>(cancellationToken);
    }

    private sealed record MemoryRow(
        string Model, string Input, int Batch, string Optimizer, string Precision, long EstimatedBytes, long MeasuredBytes)
    {
        private const string Layout = "{0,-20} {1,-14} {2,6} {3,-9} {4,-9} {5,14} {6,13} {7,7}";

        [JsonIgnore]
        public static string Head => string.Format(CultureInfo.InvariantCulture, Layout, "model", "input", "batch", "optimizer",
            "precision", "estimated MiB", "measured MiB", "ratio");

        /// <summary>Above 1: more was estimated than taken.</summary>
        [JsonIgnore]
        public double Ratio => (double)EstimatedBytes / MeasuredBytes;

        public override string ToString() => string.Format(
            CultureInfo.InvariantCulture, Layout, Model, Input, Batch, Optimizer, Precision, EstimatedBytes >> 20, MeasuredBytes >> 20,
            Ratio.ToString("F2", CultureInfo.InvariantCulture));
    }
}
