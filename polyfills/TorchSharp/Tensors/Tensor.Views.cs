using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        /// <summary>The same memory in another shape; -1 stands for the one size that follows from the others.</summary>
        public Tensor view(params long[] shape) => Call("view", this, shape);

        public Tensor view_as(Tensor other) => view(other.shape);

        /// <summary>A view where the strides allow it, a copy elsewhere.</summary>
        public Tensor reshape(params long[] shape) => Call("reshape", this, shape);

        public Tensor flatten(long start_dim = 0, long end_dim = -1) => Call("flatten.using_ints", this, start_dim, end_dim);

        public Tensor unflatten(long dim, params long[] sizes) => Call("unflatten.int", this, dim, sizes);

        public Tensor narrow(long dim, long start, long length) => Call("narrow", this, dim, start, length);

        public Tensor select(long dim, long index) => Call("select.int", this, dim, index);

        public Tensor slice(long dim, long start, long finish, long step) => Call("slice.Tensor", this, dim, start, finish, step);

        public Tensor as_strided(long[] size, long[] strides, long storageOffset = 0L) =>
            Call("as_strided", this, size, strides, storageOffset);

        public Tensor transpose(long dim0, long dim1) => Call("transpose.int", this, dim0, dim1);

        public Tensor t() => Call("t", this);

        public Tensor T => Call("numpy_T", this);

        public Tensor mT => Call("mT", this);

        public Tensor permute(params long[] permutation) => Call("permute", this, permutation);

        public Tensor movedim(long[] source, long[] destination) => Call("movedim.intlist", this, source, destination);

        public Tensor contiguous() => Call("contiguous", this);

        public Tensor unsqueeze(long dim) => Call("unsqueeze", this, dim);

        public Tensor unsqueeze_(long dim) => Update("unsqueeze_", this, dim);

        /// <summary>Drops one dim of size one, or all of them.</summary>
        public Tensor squeeze(long? dim = null) => dim is { } one ? Call("squeeze.dim", this, one) : Call("squeeze", this);

        public Tensor squeeze_(long? dim = null) => dim is { } one ? Update("squeeze_.dim", this, one) : Update("squeeze_", this);

        public Tensor expand(params long[] sizes) => Call("expand", this, sizes);

        public Tensor expand_as(Tensor other) => expand(other.shape);

        public Tensor broadcast_to(params long[] shape) => Call("broadcast_to", this, shape);

        public Tensor repeat(params long[] sizes) => Call("repeat", this, sizes);

        public Tensor repeat_interleave(long repeats, long? dim = null, long? output_size = null) =>
            Call("repeat_interleave.self_int", this, repeats, dim, output_size);

        public Tensor roll(long[] shifts, long[] dims) => Call("roll", this, shifts, dims);

        public Tensor flip(params long[] dims) => Call("flip", this, dims);

        public Tensor fliplr() => Call("fliplr", this);

        public Tensor unfold(long dimension, long size, long step) => Call("unfold", this, dimension, size, step);

        public Tensor diagonal(long offset = 0L, long dim1 = 0L, long dim2 = 1L) => Call("diagonal", this, offset, dim1, dim2);

        public Tensor tril(long diagonal = 0) => Call("tril", this, diagonal);

        public Tensor triu(long diagonal = 0) => Call("triu", this, diagonal);

        /// <summary>Views of at most <paramref name="size"/> along the dim; the last one may be shorter.</summary>
        public Tensor[] split(long size, int dim = 0) => Operators.CallMany("split.Tensor", (this.size(dim) / size) + 1, this, size, dim);

        public Tensor[] split(long[] sizes, long dim = 0) => Operators.CallMany("split_with_sizes", sizes.Length, this, sizes, dim);

        public Tensor[] chunk(long chunks, long dim = 0L) => Operators.CallMany("chunk", chunks, this, chunks, dim);

        public Tensor[] unbind(long dimension = 0L) => Operators.CallMany("unbind.int", size((int)dimension), this, dimension);
    }
}
