using System.CommandLine;
using System.Globalization;
using System.Text.Json.Serialization;
using Cluster.Bench.Measuring;
using Cluster.Bench.Reporting;
using Cluster.Contracts.Catalog;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Worker.Agent;

namespace Cluster.Bench.Zoo;

/// <summary>
/// <c>bench zoo</c>: trains every family's small build by its recipe (<c>examples/recipes/*-fashion.yaml</c>), whose budget it prints, and
/// reports what it has learnt.
/// </summary>
internal static class ZooVerb
{
    /// <summary>What each must reach on Fashion-MNIST's test part; chance is 0.1.</summary>
    private const double RequiredAccuracy = 0.8;

    public static Command Build()
    {
        var only = new Option<string[]>("--only") { Description = "models to train instead of all", AllowMultipleArgumentsPerToken = true };
        var threads = new Option<int>("--threads")
        {
            Description = "threads of a trainer",
            DefaultValueFactory = _ => Environment.ProcessorCount,
        };
        var dataRoot = new Option<string>("--data-root")
        {
            Description = "folder of fashion-mnist",
            DefaultValueFactory = _ => new AgentOptions().DataRoot,
        };
        var command = new Command(
            "zoo", $"each family's small build on Fashion-MNIST to a stated budget; exit code 1 if one is under {RequiredAccuracy:P0}")
        {
            only, threads, dataRoot, RatioReport.MarkdownOption, RatioReport.JsonOption,
        };
        command.SetAction(async (arguments, cancellationToken) =>
        {
            var (all, chosen) = (Recipes(), arguments.GetValue(only) ?? []);
            if (chosen.FirstOrDefault(name => !all.Exists(recipe => recipe.Spec.Model.Name == name)) is { } unknown)
            {
                await Console.Error.WriteLineAsync($"--only is {unknown} but there is no recipe for it; "
                    + $"choose of {string.Join(", ", all.Select(recipe => recipe.Spec.Model.Name))}");
                return 2;
            }

            var recipes = all.FindAll(recipe => chosen.Length == 0 || chosen.Contains(recipe.Spec.Model.Name));
            var report = RatioReport.For(arguments, "Zoo");
            return await RunAsync(recipes, arguments.GetValue(threads), arguments.GetValue(dataRoot)!, report, cancellationToken);
        });
        return command;
    }

    private static async Task<int> RunAsync(
        List<Recipe> recipes, int threads, string dataRoot, RatioReport report, CancellationToken cancellationToken)
    {
        BenchEnvironment.Print(report, peers: false);
        report.Note(
            $"one trainer process of one rank each, {threads} threads, in a trainer's own environment; "
            + "accuracy on Fashion-MNIST's 10000 test pictures");
        report.Say(ZooRow.Head);
        var table = new MarkdownTable("model", "family", "accuracy", "samples × epochs", "parameters", "seconds", "peak MiB");
        var passed = true;
        foreach (var recipe in recipes)
        {
            var row = await TrainAsync(recipe, threads, dataRoot, cancellationToken);
            report.Say(row.ToString());
            if (report.IsJson)
                RatioReport.AddJson(row);
            table.Add(row.Cells());
            if (row.TestAccuracy >= RequiredAccuracy)
                continue;
            passed = false;
            report.Note($"{row.Name} has {row.TestAccuracy:P1}, under the {RequiredAccuracy:P0} that its budget must give");
        }

        report.Finish(table);
        return passed ? 0 : 1;
    }

    private static async Task<ZooRow> TrainAsync(Recipe recipe, int threads, string dataRoot, CancellationToken cancellationToken)
    {
        var launch = ZooTrainer.Launch(recipe.Spec, threads, dataRoot);
        await using var trainer = MeasuredProcess.StartOurs(TrainerPlace.Of(launch), ZooTrainer.Verb);
        await trainer.SendAsync(new ZooOrder(recipe.Yaml, threads, dataRoot));
        var answer = await trainer.ReceiveAsync<ZooAnswer>(cancellationToken);
        ModelCatalog.TryGet(recipe.Spec.Model.Name, out var model);
        return new ZooRow(
            recipe.Spec.Model.Name, model!.Family, answer.TestAccuracy, recipe.Spec.Data.TrainSamples, recipe.Spec.Hyperparameters.Epochs,
            answer.Parameters, answer.Seconds, answer.PeakBytes);
    }

    /// <summary>In the catalogue's order.</summary>
    private static List<Recipe> Recipes()
    {
        var files = Directory.EnumerateFiles(Path.Combine(AppContext.BaseDirectory, "recipes"), "*-fashion.yaml");
        var recipes = files.Select(File.ReadAllText).Select(yaml => new Recipe(yaml, JobFile.Parse(yaml)))
            .ToDictionary(recipe => recipe.Spec.Model.Name);
        return [.. ModelCatalog.All.Where(model => recipes.ContainsKey(model.Name)).Select(model => recipes[model.Name])];
    }

    private sealed record Recipe(string Yaml, JobSpec Spec);

    /// <param name="Name">The model.</param>
    /// <param name="Family">Its family.</param>
    /// <param name="TestAccuracy">A share.</param>
    /// <param name="TrainSamples">Of the training part, seen once an epoch.</param>
    /// <param name="Epochs">Passes over them.</param>
    /// <param name="Parameters">Of the small build.</param>
    /// <param name="Seconds">From the launch to the end of the test.</param>
    /// <param name="PeakBytes">The trainer's.</param>
    private sealed record ZooRow(
        string Name, string Family, double TestAccuracy, int TrainSamples, int Epochs, long Parameters, double Seconds, long PeakBytes)
    {
        private const string Layout = "{0,-22} {1,-12} {2,9} {3,16} {4,12} {5,9} {6,9}";

        [JsonIgnore]
        public static string Head => string.Format(
            CultureInfo.InvariantCulture, Layout, "model", "family", "accuracy", "samples × epochs", "parameters", "seconds", "peak MiB");

        public string[] Cells() =>
        [
            Name, Family, TestAccuracy.ToString("P2", CultureInfo.InvariantCulture), $"{TrainSamples} × {Epochs}", $"{Parameters}",
            Seconds.ToString("F0", CultureInfo.InvariantCulture), $"{PeakBytes >> 20}",
        ];

        public override string ToString() => string.Format(CultureInfo.InvariantCulture, Layout, Cells());
    }
}
