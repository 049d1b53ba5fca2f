using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Cluster.Models.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;
using Layer = TorchSharp.torch.nn.Module<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>;
using LocalResponseNorm = Cluster.Models.Layers.LocalResponseNorm;

namespace Cluster.Models.Summary;

/// <summary>What one image leaves behind when it goes through a network that trains.</summary>
/// <param name="KeptBytes">Alive when the forward pass ends: what autograd needs, and what the pass's dispose scope holds whether needed or
/// not.</param>
/// <param name="TransientBytes">Of the layer that needs most while backward passes it.</param>
internal sealed record ActivationTrace(long KeptBytes, long TransientBytes)
{
    /// <summary>Bytes of an index that max pooling remembers of each maximum.</summary>
    private const int IndexBytes = 8;

    /// <summary>Channels that oneDNN lays side by side: what is missing to a multiple is padded, but for images of few channels.</summary>
    private const int ChannelBlock = 8, FewChannels = 4;

    public static ActivationTrace Of(ImageClassifier network)
    {
        using var scope = NewDisposeScope();
        var trained = network.training;
        var memory = new MemoryRanges();
        var (others, transient) = (0L, 0L);
        var removals = new List<Action>();
        try
        {
            foreach (var (_, layer) in NetworkSummary.LayersOf(network))
            {
                var hook = layer.register_forward_hook((_, input, output) =>
                {
                    if (SavesInput(layer))
                        memory.Add(input); // a sequence has dropped its own reference by the end of the pass, autograd has not
                    if (layer is MaxPool2d)
                        others += IndexBytes * output.numel();
                    transient = Math.Max(transient, Transient(layer, input, output));
                    return output;
                });
                removals.Add(hook.remove);
            }

            // Other activations keep what they give, which is the next layer's input.
            foreach (var layer in network.modules().OfType<Relu6>())
            {
                var hook = layer.register_forward_hook((_, input, output) =>
                {
                    if (Relu6.IsWidened(input))
                        others += sizeof(float) * input.numel();
                    else
                        memory.Add(input);
                    return output;
                });
                removals.Add(hook.remove);
            }

            network.train();
            // Normalisation over a 1×1 map needs more values than one. Without it one image tells as much, in half the time, which is
            // seconds for the largest nets.
            var images = network.modules().OfType<BatchNorm>().Any() ? 2 : 1;
            var (shape, parameter) = (network.Shape, network.parameters().First());
            var outputs = network.Outputs(zeros(images, shape.Channels, shape.InputSize, shape.InputSize, parameter.dtype));
            foreach (var tensor in scope.DisposablesView.OfType<Tensor>())
                memory.Add(tensor);
            GC.KeepAlive(outputs);
            return new ActivationTrace((memory.Bytes + others) / images, transient / images);
        }
        finally
        {
            removals.ForEach(remove => remove());
            network.train(trained);
        }
    }

    private static bool SavesInput(Layer layer) =>
        layer is Convolution or BatchNorm or Linear or MaxPool2d or AvgPool2d or AdaptiveAvgPool2d;

    /// <summary>
    /// The gradients of a layer's output and input, and the copies of them that a convolution computes on: oneDNN brings each into blocks
    /// of channels, and in float64, which it lacks, libtorch spreads the input's windows out (im2col).
    /// </summary>
    /// <remarks>
    /// In backward TorchSharp makes a tensor like each output of an autograd function in managed code, which nobody fills: of our own
    /// layers, and of what stands before a layer, with an output like its input, to tell ranks that the layer's gradients are there.
    /// </remarks>
    internal static long Transient(Layer layer, Tensor input, Tensor output)
    {
        var (ofInput, ofOutput) = (MemoryEstimate.Bytes(input), MemoryEstimate.Bytes(output));
        var gradients = Math.Max(ofInput + ofOutput, ofInput + ofInput);
        if (layer is LocalResponseNorm or TanhPool or BatchNormalization)
            return gradients + ofOutput;
        if (layer is not Convolution convolution)
            return gradients;
        if (input.dtype != ScalarType.Float64)
            return gradients + Blocked(input) + Blocked(output);
        var window = convolution.weight.numel() / convolution.weight.shape[0];
        return gradients + (window * MemoryEstimate.Bytes(output) / output.shape[1]);
    }

    private static long Blocked(Tensor map)
    {
        var channels = map.shape[1];
        var padded = channels <= FewChannels ? channels : (channels + ChannelBlock - 1) / ChannelBlock * ChannelBlock;
        return padded * MemoryEstimate.Bytes(map) / channels;
    }

    /// <summary>Memory under tensors, what several share counted once.</summary>
    private sealed class MemoryRanges
    {
        private readonly SortedDictionary<nint, nint> ends = [];

        public long Bytes
        {
            get
            {
                var (bytes, covered) = (0L, nint.Zero);
                foreach (var (start, end) in ends)
                {
                    bytes += Math.Max(0, end - nint.Max(start, covered));
                    covered = nint.Max(covered, end);
                }

                return bytes;
            }
        }

        public void Add(Tensor tensor)
        {
            if (!tensor.is_contiguous())
                return; // a view of what another tensor holds whole
            var memory = tensor.bytes;
            var first = Unsafe.ByteOffset(ref Unsafe.NullRef<byte>(), ref MemoryMarshal.GetReference(memory)); // its address
            ends[first] = nint.Max(ends.GetValueOrDefault(first), first + memory.Length);
        }
    }
}
