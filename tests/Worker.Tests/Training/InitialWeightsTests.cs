using System.Runtime.InteropServices;
using Cluster.Contracts;
using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;
using Cluster.Worker.Checkpoints;
using Cluster.Worker.Training;

namespace Cluster.Worker.Tests.Training;

/// <summary>Jobs that begin with weights of a checkpoint or a file: what is taken, what is drawn anew, what is refused.</summary>
public sealed class InitialWeightsTests : IDisposable
{
    private readonly DirectoryInfo _data = Directory.CreateTempSubdirectory("initial-weights-");

    private static CancellationToken End => TestContext.Current.CancellationToken;

    public void Dispose() => _data.Delete(recursive: true);

    /// <summary>Not a resumption: steps begin at 1 and the optimizer afresh.</summary>
    [Fact]
    public async Task Training_FromACheckpoint_BeginsWhereItEnded()
    {
        using var trained = new InMemoryCluster(worldSize: 1);
        await TestRuns.RunAsync(trained, TestRuns.AJob());
        using var cluster = new InMemoryCluster(worldSize: 1, inherited: trained);

        var outcome = (await TestRuns.RunAsync(cluster, TestRuns.AJob(spec =>
        {
            spec.InitFrom = From(trained);
            spec.Hyperparameters.MaxSteps = 1;
            spec.Hyperparameters.Optimizer.LearningRate = 1e-12;
        }))).Single();

        outcome.ExitCode.ShouldBe(TrainerExit.Done, outcome.Message);
        cluster.Series(MetricNames.TrainLoss).Keys.ShouldBe([1L]);
        // One step so small changes next to nothing.
        cluster.Series(MetricNames.TestAccuracy)[1].ShouldBe(trained.Series(MetricNames.TestAccuracy)[40], 0.001);
    }

    [Theory]
    [InlineData(1, Parallelism.Data)]
    [InlineData(2, Parallelism.Data)]
    [InlineData(2, Parallelism.Model)]
    public async Task NewHead_IsDrawnFromTheSeed_AndTheRestTaken(int worldSize, Parallelism parallelism)
    {
        using var trained = new InMemoryCluster(worldSize: 1);
        await TestRuns.RunAsync(trained, TestRuns.AnAlexNetJob(spec => spec.Hyperparameters.MaxSteps = 3));
        using var cluster = new InMemoryCluster(worldSize, inherited: trained);
        var spec = TestRuns.AnAlexNetJob(spec =>
        {
            spec.Model.Options["classes"] = TestRuns.Whole(12);
            spec.InitFrom = From(trained, newHead: true);
            spec.Parallelism = parallelism;
            spec.Hyperparameters.MaxSteps = 1;
            spec.Hyperparameters.Optimizer.LearningRate = 1e-30;
            spec.Hyperparameters.Optimizer.WeightDecay = 0;
        });

        var outcomes = await TestRuns.RunAsync(cluster, spec, worldSize);

        outcomes.ShouldAllBe(outcome => outcome.ExitCode == TrainerExit.Done, outcomes[0].Message);
        var before = await Weights(trained);
        var after = await Weights(cluster);
        using var fresh = new InMemoryCluster(worldSize: 1);
        await TestRuns.RunAsync(fresh, new JobSpec(spec) { InitFrom = null, Parallelism = Parallelism.Data });
        var drawn = await Weights(fresh);
        foreach (var name in after.WeightNames.ToList())
        {
            var expected = name.StartsWith("fc8", StringComparison.Ordinal) ? drawn : before;
            // The one step moved each by less than any that is not zero.
            Floats(await after.ReadTensorAsync(name, End)).Zip(Floats(await expected.ReadTensorAsync(name, End)), (a, b) => Math.Abs(a - b))
                .Max().ShouldBeLessThan(1e-20f, name);
        }

        after.GlobalShape("fc8.weight")[0].ShouldBe(12);
    }

    [Fact]
    public async Task AHeadThatDiffers_WithoutNewHead_IsRefusedWithThatRemedy()
    {
        using var trained = new InMemoryCluster(worldSize: 1);
        await TestRuns.RunAsync(trained, TestRuns.AJob(spec => spec.Hyperparameters.MaxSteps = 1));

        var message = await RefusedAsync(trained, spec =>
        {
            spec.Model.Options["classes"] = TestRuns.Whole(12);
            spec.InitFrom = From(trained);
        });

        message.ShouldEndWith("whose weights do not fit model.name lenet5: fc3.weight is (10, 84) there and (12, 84) here, "
            + "fc3.bias is (10) there and (12) here; " + "set initFrom.newHead to true to draw these anew");
    }

    [Fact]
    public async Task WeightsOfAnotherNetwork_AreRefusedWithNamesAndShapes()
    {
        using var trained = new InMemoryCluster(worldSize: 1);
        await TestRuns.RunAsync(trained, TestRuns.AJob(spec => spec.Hyperparameters.MaxSteps = 1));

        var message = await RefusedAsync(trained, spec =>
        {
            spec.Model = TestRuns.AnAlexNetJob().Model;
            spec.InitFrom = From(trained, newHead: true);
        });

        message.ShouldContain("do not fit model.name alexnet: conv1.weight is (6, 1, 5, 5) there and");
        message.ShouldMatch(@"and \d+ more differences; give model.name and model.options that the weights were made with");
    }

    [Theory]
    [InlineData("F64")]
    [InlineData("F16")]
    [InlineData("BF16")]
    public async Task AFile_OfAnotherType_IsConverted(string dtype)
    {
        // Zeros but for the last bias: its class wins everywhere, and all of these types hold 2 exactly.
        WriteFile("weights.safetensors", dtype, entry => entry == "fc3.bias" ? Encoded(dtype, [0, 0, 0, 2, 0, 0, 0, 0, 0, 0]) : null);
        using var cluster = new InMemoryCluster(worldSize: 2);

        var outcomes = await TestRuns.RunAsync(cluster, Evaluation("weights.safetensors"), worldSize: 2, dataRoot: _data.FullName);

        outcomes.ShouldAllBe(outcome => outcome.ExitCode == TrainerExit.Done, outcomes[0].Message);
        // log(e² + 9) for a sample of another class, 2 less for one of class 3; a share of the samples is of it.
        var share = cluster.Series(MetricNames.TestAccuracy)[1];
        share.ShouldBe(0.1, 0.05);
        cluster.Series(MetricNames.TestLoss)[1].ShouldBe(Math.Log(Math.Exp(2) + 9) - (2 * share), 1e-5);
    }

    [Theory]
    [InlineData("module.")]
    [InlineData("module._orig_mod.")]
    [InlineData("student.backbone.net.")]
    public async Task Names_WithAWrappersPrefix_AreFoundAndItIsSaid(string prefix)
    {
        WriteFile(
            "weights.safetensors", "F64", entry => entry == "fc3.bias" ? Encoded("F64", [0, 0, 0, 2, 0, 0, 0, 0, 0, 0]) : null, prefix);
        using var cluster = new InMemoryCluster(worldSize: 1);
        var logs = new CollectedLogs();

        var outcome = (await TestRuns.RunAsync(cluster, Evaluation("weights.safetensors"), dataRoot: _data.FullName, logs: logs)).Single();

        outcome.ExitCode.ShouldBe(TrainerExit.Done, outcome.Message);
        var share = cluster.Series(MetricNames.TestAccuracy)[1];
        cluster.Series(MetricNames.TestLoss)[1].ShouldBe(Math.Log(Math.Exp(2) + 9) - (2 * share), 1e-5);
        logs.All.ShouldContain($"Their names begin with {prefix}, a wrapper's, which is left out");
    }

    [Fact]
    public async Task Names_OfAnotherNetworkBehindAPrefix_AreRefusedAsTheyAre()
    {
        WriteFile("weights.safetensors", "F32", _ => null, "module.");

        (await RefusedAsync(null, spec =>
        {
            spec.Model = TestRuns.AnAlexNetJob().Model;
            spec.InitFrom = new InitFrom { File = "weights.safetensors" };
        })).ShouldContain("do not fit model.name alexnet");
    }

    [Theory]
    [InlineData("I64", "conv1.weight: dtype 'I64' is none of F64, F32, F16, BF16; save it as floating-point numbers")]
    public async Task AFile_OfWholeNumbers_IsRefused(string dtype, string message)
    {
        WriteFile("weights.safetensors", dtype, _ => null);

        (await RefusedAsync(null, spec => spec.InitFrom = new InitFrom { File = "weights.safetensors" })).ShouldContain(message);
    }

    [Fact]
    public async Task AFile_ThatIsNotThere_IsRefusedWithItsPath()
    {
        var message = await RefusedAsync(null, spec => spec.InitFrom = new InitFrom { File = "absent.safetensors" });

        message.ShouldStartWith($"initFrom.file is absent.safetensors but {_data.FullName}/weights/absent.safetensors cannot be read");
        message.ShouldEndWith("put the file there on every node, or import it and name its checkpoint");
    }

    [Fact]
    public async Task AFile_ThatIsNoSafetensorsFile_IsRefusedWithTheReason()
    {
        Directory.CreateDirectory(Path.Combine(_data.FullName, "weights"));
        await File.WriteAllBytesAsync(
            Path.Combine(_data.FullName, "weights", "broken.safetensors"), [255, 255, 255, 255, 255, 255, 255, 127, 1], End);

        var message = await RefusedAsync(null, spec => spec.InitFrom = new InitFrom { File = "broken.safetensors" });

        message.ShouldContain(
            "does not take for a safetensors file: the safetensors header claims 9223372036854775807 bytes in a file of 9");
    }

    private static InitFrom From(InMemoryCluster trained, bool newHead = false) =>
        new() { Checkpoint = trained.CheckpointIds.MaxBy(pair => pair.Key).Value, NewHead = newHead };

    private static Task<CheckpointReader> Weights(InMemoryCluster cluster) =>
        CheckpointReader.OpenAsync(cluster.Link(0), cluster.CheckpointIds.MaxBy(pair => pair.Key).Value, End);

    private static float[] Floats(byte[] bytes) => MemoryMarshal.Cast<byte, float>(bytes).ToArray();

    private static JobSpec Evaluation(string file) => TestRuns.AJob(spec =>
    {
        spec.Task = new TaskSpec { Name = JobTasks.Evaluate };
        spec.InitFrom = new InitFrom { File = file };
    });

    private async Task<string> RefusedAsync(InMemoryCluster? inherited, Action<JobSpec> change)
    {
        using var cluster = new InMemoryCluster(worldSize: 1, inherited);
        var outcome = (await TestRuns.RunAsync(cluster, TestRuns.AJob(change), dataRoot: _data.FullName)).Single();
        outcome.ExitCode.ShouldBe(TrainerExit.Misconfigured, outcome.Message);
        return outcome.Message;
    }

    /// <summary>LeNet-5's tensors, zero unless <paramref name="content"/> says otherwise.</summary>
    private void WriteFile(string name, string dtype, Func<string, byte[]?> content, string prefix = "")
    {
        using var network = Cluster.Models.ModelRegistry.CreateToLoad("lenet5", new Dictionary<string, object> { ["inputSize"] = 28 });
        var tensors = SafetensorsWriter.DataOrder(network.Shards().Select(s => (s.Name, DType: dtype, Shape: s.GlobalShape.ToArray())),
            t => t.DType, t => t.Name).ToList();
        Directory.CreateDirectory(Path.Combine(_data.FullName, "weights"));
        using var file = File.Create(Path.Combine(_data.FullName, "weights", name));
        file.Write(SafetensorsWriter.Header([.. tensors.Select(t => (prefix + t.Name, t.DType, t.Shape))]));
        foreach (var (tensor, type, shape) in tensors)
            file.Write(content(tensor) ?? new byte[SafetensorsFormat.TensorBytes(type, shape)]);
    }

    private static byte[] Encoded(string dtype, double[] values) => dtype switch
    {
        "F64" => MemoryMarshal.AsBytes<double>(values).ToArray(),
        "F16" => [.. values.SelectMany(v => BitConverter.GetBytes((Half)v))],
        // bfloat16 is float32 without its lower half.
        _ => [.. values.SelectMany(v => BitConverter.GetBytes((float)v)[2..])],
    };
}
