using TorchSharp.Interop;
using static TorchSharp.Interop.NativeMethods;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public long Dimensions => THSTensor_ndimension(Handle);
        public long ndim => Dimensions;
        public long dim() => Dimensions;

        public long NumberOfElements => THSTensor_numel(Handle);
        public long numel() => NumberOfElements;

        /// <summary>Bytes an element takes.</summary>
        public long ElementSize => THSTensor_element_size(Handle);
        public long element_size() => ElementSize;

        public unsafe long[] shape
        {
            get
            {
                var sizes = new long[Dimensions];
                fixed (long* first = sizes) THSTensor_sizes_and_strides(Handle, first, null);
                return sizes;
            }
        }

        public long[] size() => shape;

        public long size(int dim)
        {
            var result = THSTensor_size(Handle, dim);
            CheckForErrors();
            return result;
        }

        /// <summary>Steps between neighbours along each dim, in elements.</summary>
        public unsafe long[] stride()
        {
            var (sizes, strides) = (new long[Dimensions], new long[Dimensions]);
            fixed (long* size = sizes, stride = strides) THSTensor_sizes_and_strides(Handle, size, stride);
            CheckForErrors();
            return strides;
        }

        public long stride(int dim)
        {
            var result = THSTensor_stride(Handle, dim);
            CheckForErrors();
            return result;
        }

        /// <summary>Where the tensor begins in its storage, in elements.</summary>
        public long storage_offset() => THSTensor_storage_offset(Handle);

        public ScalarType dtype => (ScalarType)THSTensor_type(Handle);

        public DeviceType device_type => (DeviceType)THSTensor_device_type(Handle);

        public int device_index => THSTensor_device_index(Handle);

        public Device device => device_type == DeviceType.CPU ? new Device(DeviceType.CPU) : new Device(device_type, device_index);

        public bool is_cuda => device_type == DeviceType.CUDA;

        public bool is_cpu() => device_type == DeviceType.CPU;

        /// <summary>Whether the elements lie in row-major order without gaps.</summary>
        public bool is_contiguous() => THSTensor_is_contiguous(Handle) != 0;

        public bool is_floating_point() => torch.is_floating_point(dtype);

        public bool is_integral() => torch.is_integral(dtype);

        public bool is_leaf => THSTensor_is_leaf(Handle) != 0;

        public bool requires_grad
        {
            get => THSTensor_requires_grad(Handle) != 0;
            set
            {
                THSTensor_set_requires_grad(Handle, value ? 1 : 0);
                CheckForErrors();
            }
        }

        public Tensor requires_grad_(bool requires_grad = true)
        {
            this.requires_grad = requires_grad;
            return this;
        }

        public Tensor with_requires_grad(bool requires_grad = true) => requires_grad_(requires_grad);

        /// <summary>Keeps the gradient of a tensor that is not a leaf.</summary>
        public void retain_grad()
        {
            THSTensor_retain_grad(Handle);
            CheckForErrors();
        }

        /// <summary>
        /// A new reference to the accumulated gradient, null where there is none. What is assigned is kept as it is: backward adds
        /// into it in place, so a view of a flat buffer fills that buffer (unless backward runs with create_graph).
        /// </summary>
        public Tensor? grad
        {
            get
            {
                var result = THSTensor_grad(Handle);
                if (result != IntPtr.Zero) return new Tensor(result);
                CheckForErrors();
                return null;
            }
            set
            {
                THSTensor_set_grad(Handle, value?.Handle ?? IntPtr.Zero);
                CheckForErrors();
                GC.KeepAlive(value);
            }
        }

        /// <summary>Runs backward from this tensor of one element; gradients accumulate in the leaves.</summary>
        public void backward() => autograd.backward([this]);

        public void backward(
            IList<Tensor>? grad_tensors = null, bool retain_graph = false, bool create_graph = false, IList<Tensor>? inputs = null) =>
            autograd.backward([this], grad_tensors, retain_graph, create_graph, inputs);

        /// <summary>The same values outside the graph; shares memory.</summary>
        public Tensor detach() => Call("detach", this);

        public Tensor detach_() => Update("detach_", this);
    }
}
