using System.Runtime.CompilerServices;
using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        /// <summary>Positions, slices and markers give a view; with tensors of positions or masks the result is a copy.</summary>
        [IndexerName("TensorItems")]
        public Tensor this[params TensorIndex[] indices]
        {
            get => index(indices);
            set => index_put_(value, indices);
        }

        /// <summary>Picks by tensors of positions or by a mask; the result is a copy.</summary>
        [IndexerName("TensorItems")]
        public Tensor this[params Tensor[] indices]
        {
            get => index(indices);
            set => index_put_(value, indices);
        }

        [IndexerName("TensorItems")]
        public Tensor this[long i1]
        {
            get => select(0, i1);
            set => Assign(this[i1], value);
        }

        [IndexerName("TensorItems")]
        public Tensor this[long i1, long i2]
        {
            get => this[TensorIndex.Single(i1), TensorIndex.Single(i2)];
            set => Assign(this[i1, i2], value);
        }

        [IndexerName("TensorItems")]
        public Tensor this[long i1, long i2, long i3]
        {
            get => this[TensorIndex.Single(i1), TensorIndex.Single(i2), TensorIndex.Single(i3)];
            set => Assign(this[i1, i2, i3], value);
        }

        [IndexerName("TensorItems")]
        public Tensor this[long i1, long i2, long i3, long i4]
        {
            get => this[TensorIndex.Single(i1), TensorIndex.Single(i2), TensorIndex.Single(i3), TensorIndex.Single(i4)];
            set => Assign(this[i1, i2, i3, i4], value);
        }

        public Tensor index(params TensorIndex[] indices)
        {
            var (view, tensors) = View(indices);
            if (tensors is null) return view;
            using (view) return Operators.Call("index.Tensor", view, Argument.OptionalTensors(tensors));
        }

        public Tensor index(params Tensor[] indices) => Operators.Call("index.Tensor", this, Argument.OptionalTensors(indices));

        public Tensor index_put_(Tensor value, params TensorIndex[] indices)
        {
            var (view, tensors) = View(indices);
            using (view)
            {
                if (tensors is null) Assign(view, value);
                else Operators.Run("index_put_", view, Argument.OptionalTensors(tensors), value, false);
            }
            return this;
        }

        public Tensor index_put_(Tensor value, params Tensor[] indices) =>
            Update("index_put_", this, Argument.OptionalTensors(indices), value, false);

        public Tensor index_select(long dim, Tensor index) => Call("index_select", this, dim, index);

        public Tensor index_add(long dim, Tensor index, Tensor source, Scalar alpha) => Call("index_add", this, dim, index, source, alpha);

        public Tensor index_add_(long dim, Tensor index, Tensor source, Scalar alpha) =>
            Update("index_add_", this, dim, index, source, alpha);

        public Tensor index_copy_(long dim, Tensor index, Tensor source) => Update("index_copy_", this, dim, index, source);

        public Tensor gather(long dim, Tensor index) => Call("gather", this, dim, index);

        public Tensor scatter(long dim, Tensor index, Tensor src) => Call("scatter.src", this, dim, index, src);

        public Tensor scatter_(long dim, Tensor index, Tensor src) => Update("scatter_.src", this, dim, index, src);

        public Tensor scatter_add_(long dim, Tensor index, Tensor src) => Update("scatter_add_", this, dim, index, src);

        public Tensor masked_fill(Tensor mask, Scalar value) => Call("masked_fill.Scalar", this, mask, value);

        public Tensor masked_fill_(Tensor mask, Scalar value) => Update("masked_fill_.Scalar", this, mask, value);

        public Tensor masked_select(Tensor mask) => Call("masked_select", this, mask);

        /// <summary>This tensor's values where the condition holds, the others from <paramref name="y"/>.</summary>
        public Tensor where(Tensor condition, Tensor y) => Call("where.self", condition, this, y);

        public Tensor nonzero() => Call("nonzero", this);

        public (Tensor values, Tensor indexes) topk(int k, int dim = -1, bool largest = true, bool sorted = true) =>
            Operators.CallPair("topk", this, k, dim, largest, sorted);

        public (Tensor Values, Tensor Indices) sort(long dim = -1, bool descending = false, bool stable = false) =>
            Operators.CallPair("sort.stable", this, stable, dim, descending);

        public Tensor argsort(long dim = -1, bool descending = false) => Call("argsort", this, dim, descending);

        private static void Assign(Tensor view, Tensor value)
        {
            using (view) view.copy_(value);
        }

        // Applies the indices from left to right. Those that give views are applied here; tensors are left for index/index_put_,
        // with null for a dim that is taken whole.
        private (Tensor View, Tensor?[]? Tensors) View(TensorIndex[] indices)
        {
            var (view, dim) = (alias(), 0L);
            Tensor?[]? tensors = null;
            for (var i = 0; i < indices.Length; i++)
            {
                var previous = view;
                var index = indices[i];
                switch (index.kind)
                {
                    case TensorIndex.Kind.Single:
                        view = previous.select(dim, index.start!.Value);
                        break;
                    case TensorIndex.Kind.Slice:
                        view = Operators.Call("slice.Tensor", previous, dim++, index.start, index.stop, index.step ?? 1);
                        break;
                    case TensorIndex.Kind.None or TensorIndex.Kind.Null:
                        view = previous.unsqueeze(dim++);
                        break;
                    case TensorIndex.Kind.Ellipsis:
                        dim = previous.ndim - indices[(i + 1)..].Sum(Consumed);
                        continue;
                    case TensorIndex.Kind.Tensor:
                        tensors ??= new Tensor?[indices.Length + view.ndim];
                        if (Consumed(index) > 1 && i + 1 < indices.Length)
                            throw new ArgumentException("a mask of several dimensions must be the last index", nameof(indices));
                        tensors[dim++] = index.tensor;
                        continue;
                }
                previous.Dispose();
            }
            return (view, tensors?[..(Array.FindLastIndex(tensors, tensor => tensor is not null) + 1)]);
        }

        /// <summary>How many dims of the tensor an index stands for; a mask stands for as many as it has.</summary>
        private static long Consumed(TensorIndex index) => index.kind switch
        {
            TensorIndex.Kind.None or TensorIndex.Kind.Null or TensorIndex.Kind.Ellipsis => 0,
            TensorIndex.Kind.Tensor when index.tensor!.dtype is ScalarType.Bool or ScalarType.Byte => index.tensor.ndim,
            _ => 1
        };
    }
}
