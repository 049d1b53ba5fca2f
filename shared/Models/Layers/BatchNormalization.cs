using System.Runtime.InteropServices;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Cluster.Models.Layers;

/// <summary>
/// Normalises each channel over the batch: Ioffe and Szegedy 2015, arXiv:1502.03167, Algorithms 1 and 2. PyTorch's <c>BatchNorm2d</c>, and
/// a seam for ranks that share the batch.
/// </summary>
/// <remarks>
/// (N, C, H, W) → the same. In training, in float32 on the CPU and channels-last, by a kernel of our own, whose sums round less.
/// </remarks>
public sealed class BatchNormalization : BatchNorm
{
    /// <param name="channels">C.</param>
    /// <param name="dtype">Float32 or float64.</param>
    /// <param name="epsilon">Added to the variance: PyTorch's default, unless the net has another.</param>
    public BatchNormalization(long channels, ScalarType dtype, double epsilon = 1e-5)
        : base(channels, epsilon, 0.1, affine: true, track_running_stats: true, device: null, dtype, nameof(BatchNormalization))
    {
    }

    /// <summary>
    /// Takes the training pass's place where this process sees a part of the batch only: normalises (n, C, H, W) by the statistics of the
    /// whole batch and updates the running ones. Null: the batch here is the whole.
    /// </summary>
    public Func<Tensor, Tensor>? OverWholeBatch { get; set; }

    /// <inheritdoc/>
    /// <exception cref="ModelOptionException">Training on one value a channel, which has no variance, as PyTorch refuses too.</exception>
    public override Tensor forward(Tensor input)
    {
        if (training && OverWholeBatch is { } normalise)
            return normalise(input);
        if (training && input.dim() == 4 && input.shape is [1, _, 1, 1])
        {
            throw new ModelOptionException(
                $"batch normalisation of {num_features} channels sees one sample of 1×1 here, and one value has no variance; "
                    + "raise hyperparameters.globalBatchSize so that every rank and micro-batch has 2 samples, or model.options.inputSize");
        }

        if (training && FusedBatchNorm.Takes(input))
            return FusedBatchNorm.Apply(input, this);
        // Not the base's, which also counts batches, as nobody asks: by a number whose memory TorchSharp may free while libtorch reads it.
        return nn.functional.batch_norm(input, running_mean!, running_var!, weight, bias, training, momentum!.Value, eps);
    }

    /// <summary>Running averages, of the unbiased variance (§3.1).</summary>
    /// <param name="mean">Of each channel.</param>
    /// <param name="squares">The sum of squared distances from it.</param>
    /// <param name="count">Values a channel, at least two.</param>
    internal void MoveRunningStatistics(double[] mean, double[] squares, long count)
    {
        var means = Values(running_mean!);
        var variances = Values(running_var!);
        var taken = momentum!.Value;
        for (var c = 0; c < mean.Length; c++)
        {
            means[c] = (float)(((1 - taken) * means[c]) + (taken * mean[c]));
            variances[c] = (float)(((1 - taken) * variances[c]) + (taken * squares[c] / (count - 1)));
        }

        static Span<float> Values(Tensor statistics) => MemoryMarshal.Cast<byte, float>(statistics.bytes);
    }

    /// <inheritdoc/>
    protected override void ValidateInputDimensions(Tensor input)
    {
        if (input.dim() != 4)
            throw new ArgumentException($"images have 4 dims (N, C, H, W), these have {input.dim()}", nameof(input));
    }
}
