using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Cluster.Bench.Training.Plain;

/// <summary>
/// A plain TorchSharp program as a contestant: a training loop as its documentation has it, on the batch and the weights of ours.
/// </summary>
internal static class PlainRank
{
    public const string Verb = "train-torchsharp";

    /// <summary>As in Szegedy 2014, §5.</summary>
    private const double AuxiliaryWeight = 0.3;

    public static Command Build()
    {
        var folder = new Argument<string>("folder");
        var threads = new Argument<int>("threads");
        var network = new Argument<string>("case");
        var command = new Command(Verb, "a plain TorchSharp program of train") { folder, threads, network };
        command.Hidden = true;
        command.SetAction(arguments => Obey(
            arguments.GetValue(folder)!,
            arguments.GetValue(threads),
            JsonSerializer.Deserialize<TrainCase>(arguments.GetValue(network)!)!));
        return command;
    }

    private static void Obey(string folder, int threads, TrainCase network)
    {
        set_num_threads(threads);
        random.manual_seed(1);
        var (model, outputsOf) = PlainNetworks.Create(network);
        model.train();
        Load(model, TensorFile.Read(TrainRank.WholeWeightsFile(folder)));
        var batch = TensorFile.Read(TrainRank.BatchFile(folder, rank: 0));
        var (images, labels) = (batch["images"], batch["labels"]);
        using var optimizer = optim.SGD(
            model.parameters(), TrainCase.LearningRate, TrainCase.Momentum, weight_decay: TrainCase.WeightDecay);
        using var criterion = CrossEntropyLoss();
        Answer(new TrainAnswer(0, 0));
        while (Console.In.ReadLine() is { } line)
        {
            var order = JsonSerializer.Deserialize<TrainOrder>(line)!;
            Answer(order.Steps == 0 ? Check(order.Folder) : Train(order.Steps));
        }

        TrainAnswer Train(int steps)
        {
            var loss = Step();
            var began = Stopwatch.GetTimestamp();
            for (var i = 0; i < steps; i++)
                loss = Step();
            return new TrainAnswer(Stopwatch.GetElapsedTime(began).TotalSeconds / steps, loss);
        }

        float Step()
        {
            using var scope = NewDisposeScope();
            optimizer.zero_grad();
            var (loss, _) = Loss();
            loss.backward();
            optimizer.step();
            return loss.item<float>();
        }

        TrainAnswer Check(string into)
        {
            using var scope = NewDisposeScope();
            var dropouts = model.modules().OfType<Dropout>().ToList();
            dropouts.ForEach(layer => layer.eval());
            optimizer.zero_grad();
            var (loss, main) = Loss();
            loss.backward();
            dropouts.ForEach(layer => layer.train());
            TensorFile.Write(TrainRank.GradientsFile(into, rank: 0), model.named_parameters().Select(p => (p.name, p.parameter.grad!)));
            return new TrainAnswer(0, main.item<float>());
        }

        (Tensor Loss, Tensor Main) Loss()
        {
            var outputs = outputsOf(images);
            var main = criterion.call(outputs[0], labels);
            return (outputs.Skip(1).Aggregate(main, (sum, logits) => sum + (AuxiliaryWeight * criterion.call(logits, labels))), main);
        }
    }

    private static void Answer(TrainAnswer answer) => Console.WriteLine(JsonSerializer.Serialize(answer));

    private static void Load(Module model, Dictionary<string, Tensor> weights)
    {
        var parameters = model.named_parameters().ToDictionary(p => p.name, p => p.parameter);
        var names = parameters.Keys.Concat(weights.Keys);
        if (names.FirstOrDefault(name => !parameters.ContainsKey(name) || !weights.ContainsKey(name)) is { } odd)
            throw new InvalidOperationException($"{odd} is not a parameter of both networks");
        using var guard = no_grad();
        foreach (var (name, parameter) in parameters)
            parameter.copy_(weights[name]);
    }
}
