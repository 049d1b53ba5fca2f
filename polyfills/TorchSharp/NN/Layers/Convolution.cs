using TorchSharp.Utils;
using static TorchSharp.torch;

namespace TorchSharp
{
    /// <summary>What lies beyond the border.</summary>
    public enum PaddingModes
    {
        Zeros = 0,
        Reflect = 1,
        Replicate = 2,
        Circular = 3,
        Constant = 4
    }

    /// <summary>Padding by its effect: none, or the output as large as the input.</summary>
    public enum Padding
    {
        Valid = 0,
        Same = 1
    }
}

namespace TorchSharp.Modules
{
    /// <summary>What convolutions share: weight (out, in/groups, kernel…) and bias, both drawn from U(−1/√fan_in, 1/√fan_in).</summary>
    public abstract class Convolution : nn.Module<Tensor, Tensor>
    {
        protected long[] _reversed_padding_repeated_twice = [];

        [ComponentName(Name = nameof(bias))] protected Parameter? _bias;
        [ComponentName(Name = nameof(weight))] protected Parameter? _weight;

        protected Convolution(
            string name, long in_channels, long out_channels, long[] kernel_size, long[] stride, long[]? padding, Padding? padding_type,
            long[] dilation, bool transposed, long[] output_padding, long groups, bool bias, PaddingModes padding_mode,
            Device? device = null, ScalarType? dtype = null) : base(name)
        {
            (this.in_channels, this.out_channels, this.groups, this.padding_mode) = (in_channels, out_channels, groups, padding_mode);
            (this.kernel_size, this.stride, this.dilation) = (kernel_size, stride, dilation);
            (this.transposed, this.output_padding) = (transposed, output_padding);
            if (padding_type is { } type) SetPadding(type);
            else SetPadding(padding ?? new long[kernel_size.Length]);

            weight = nn.Parameter(empty([out_channels, in_channels / groups, .. kernel_size], dtype, device));
            if (bias) this.bias = nn.Parameter(empty(out_channels, dtype, device));
            reset_parameters();
        }

        public long in_channels { get; }
        public long out_channels { get; }
        public bool transposed { get; }
        public Padding? padding_type { get; private set; }
        public long[]? padding { get; private set; }
        public PaddingModes padding_mode { get; set; }
        public long groups { get; set; }
        public long[] kernel_size { get; set; }
        public long[] stride { get; set; }
        public long[] dilation { get; set; }
        public long[] output_padding { get; set; }

        public Parameter? bias
        {
            get => _bias;
            set
            {
                _bias?.Dispose();
                _bias = value?.DetachFromDisposeScope() as Parameter;
                ConditionallyRegisterParameter(nameof(bias), _bias);
            }
        }

        public Parameter weight
        {
            get => _weight!;
            set
            {
                ArgumentNullException.ThrowIfNull(value);
                if (value.Handle == _weight?.handle) return;
                _weight?.Dispose();
                _weight = (Parameter)value.DetachFromDisposeScope();
                ConditionallyRegisterParameter(nameof(weight), _weight);
            }
        }

        public void reset_parameters()
        {
            nn.init.kaiming_uniform_(weight, Math.Sqrt(5));
            if (bias is null) return;
            var (fanIn, _) = nn.init.CalculateFanInAndFanOut(weight);
            if (fanIn == 0) return;
            var bound = 1 / Math.Sqrt(fanIn);
            nn.init.uniform_(bias, -bound, bound);
        }

        public void SetPadding(long[] padding)
        {
            (padding_type, this.padding) = (null, padding);
            // functional.pad counts from the last dim, with both sides of each.
            _reversed_padding_repeated_twice = [.. padding.Reverse().SelectMany(width => new[] { width, width })];
        }

        public void SetPadding(Padding padding)
        {
            if (transposed) throw new ArgumentException("Cannot set padding type on ConvTransposeND");
            if (padding == Padding.Same && stride.Any(step => step != 1))
                throw new ArgumentException("padding='same' is not supported for strided convolutions");
            (padding_type, this.padding) = (padding, null);
            _reversed_padding_repeated_twice = padding == Padding.Valid ? new long[kernel_size.Length * 2] : [.. SamePadding()];
        }

        protected bool ValidateShape(Tensor input, long dimensions)
        {
            var shape = input.shape;
            return (shape.Length == dimensions + 2 && shape[1] == in_channels) || (shape.Length == dimensions + 1 && shape[0] == in_channels);
        }

        private IEnumerable<long> SamePadding()
        {
            for (var dim = kernel_size.Length - 1; dim >= 0; dim--)
            {
                var total = dilation[dim] * (kernel_size[dim] - 1);
                yield return total / 2;
                yield return total - (total / 2);
            }
        }
    }
}
