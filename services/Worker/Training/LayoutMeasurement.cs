using System.Diagnostics;
using Cluster.Contracts.V1;
using Cluster.Models;
using Cluster.Worker.Parallel;
using static TorchSharp.torch;

namespace Cluster.Worker.Training;

/// <summary>Seconds that a rank's forward and backward pass takes with images in either layout; zeros of a rank without samples.</summary>
/// <param name="Contiguous">By our own kernels, where the network has some.</param>
/// <param name="ChannelsLast">By our own kernels, where the network has some.</param>
/// <param name="ContiguousByOperators">By libtorch's operators alone; zero where it has no kernels.</param>
/// <param name="ChannelsLastByOperators">By libtorch's operators alone; zero where it has no kernels.</param>
internal readonly record struct LayoutTimes(
    double Contiguous, double ChannelsLast, double ContiguousByOperators = 0, double ChannelsLastByOperators = 0);

/// <summary>Finds what a rank's passes take here. Leaves the network and all of the run's state as they are.</summary>
/// <param name="spec">The job.</param>
/// <param name="network">That will train: the whole.</param>
/// <param name="samples">Of this rank in a pass.</param>
/// <param name="cancellationToken">Ends it between passes.</param>
internal delegate LayoutTimes MeasureLayouts(JobSpec spec, ImageClassifier network, int samples, CancellationToken cancellationToken);

/// <summary>Times passes in both layouts of images, with and without kernels of our own, on the processor that will train.</summary>
/// <remarks>
/// On a copy of the network and images of its own, so that weights, gradients, running statistics and samples of the run stay what they
/// are. The copy and its gradients take the memory that a checkpoint's copy and the gradients will have, and a pass no more than a step.
/// </remarks>
internal static class LayoutMeasurement
{
    /// <summary>
    /// Of each way in turn, so that all meet what else the machine does; the quickest counts. Of short passes there are more.
    /// </summary>
    private const int Rounds = 5;

    /// <summary>Normalisation over a 1×1 map needs more than one.</summary>
    private const int FewestImages = 2;

    /// <summary>As <see cref="LayoutTimes"/> has them.</summary>
    private static readonly Way[] Ways = [new(false), new(true), new(false, ByOperators: true), new(true, ByOperators: true)];

    /// <summary>A pass of a large network has fewer images than a step's.</summary>
    private static readonly TimeSpan LongestPass = TimeSpan.FromSeconds(1);

    /// <summary>Before which further rounds begin: passes of milliseconds may all fall into one time slice of something else.</summary>
    private static readonly TimeSpan Least = TimeSpan.FromSeconds(1);

    /// <summary>After which no further round begins.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <inheritdoc cref="MeasureLayouts"/>
    public static LayoutTimes Take(JobSpec spec, ImageClassifier network, int samples, CancellationToken cancellationToken)
    {
        if (samples == 0)
            return default;
        using var scope = NewDisposeScope();
        using var copy = Copy(spec, network);
        using var generator = new Generator(spec.Seed);
        var loss = TrainingPartitions.LossOf(spec.Hyperparameters.LabelSmoothing);
        var few = Math.Min(FewestImages, samples);
        var began = Stopwatch.GetTimestamp();
        Pass(few, default); // the first compiles and loads
        var images = (int)Math.Clamp(few * (LongestPass / Pass(few, default)), few, samples);
        Way[] ways = [.. Ways.Where(way => copy.HasKernels || !way.ByOperators)];
        double[] quickest = [.. ways.Select(_ => double.PositiveInfinity)];
        for (var round = 0; IsDue(round, Stopwatch.GetElapsedTime(began)); round++)
        {
            foreach (var (i, way) in ways.Index())
            {
                var time = Pass(images, way);
                if (round > 0) // before, oneDNN makes its kernels for these shapes
                    quickest[i] = Math.Min(quickest[i], time.TotalSeconds);
            }
        }

        return new LayoutTimes(OfAll(0), OfAll(1), OfAll(2), OfAll(3));

        double OfAll(int way) => way < ways.Length ? quickest[way] * samples / images : 0;

        TimeSpan Pass(int count, Way way)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var passScope = NewDisposeScope();
            var (channels, size) = (copy.Shape.Channels, copy.Shape.InputSize);
            var drawn = randn([count, channels, size, size], generator: generator);
            var labels = zeros(count, dtype: ScalarType.Int64);
            var passBegan = Stopwatch.GetTimestamp();
            copy.zero_grad();
            copy.UseKernels(!way.ByOperators);
            var batch = new TrainingBatch(way.ChannelsLast ? ImageLayout.ToChannelsLast(drawn) : drawn, labels, count, Step: 0);
            LocalPass.Forward(copy, batch, new SampleRange(0, count), loss).Backward(count);
            return Stopwatch.GetElapsedTime(passBegan);
        }
    }

    /// <param name="round">Of which the first warms up.</param>
    /// <param name="elapsed">In all.</param>
    private static bool IsDue(int round, TimeSpan elapsed) => round <= 1 || elapsed < Least || (round <= Rounds && elapsed < Patience);

    /// <summary>With the same values: kernels are slower on numbers that are not normal, which memory that nobody set may hold.</summary>
    private static ImageClassifier Copy(JobSpec spec, ImageClassifier network)
    {
        using var guard = no_grad();
        var copy = ModelRegistry.CreateToLoad(spec.Model.Name, TrainingPartitions.OptionsOf(spec.Model));
        foreach (var ((_, from), (_, to)) in network.named_parameters().Zip(copy.named_parameters()))
            to.copy_(from);
        foreach (var ((_, from), (_, to)) in network.Buffers().Zip(copy.Buffers()))
            to.copy_(from);
        copy.train();
        return copy;
    }

    /// <param name="ChannelsLast">Whether a pixel's channels lie together.</param>
    /// <param name="ByOperators">Whether by libtorch's alone.</param>
    private readonly record struct Way(bool ChannelsLast, bool ByOperators = false);
}
