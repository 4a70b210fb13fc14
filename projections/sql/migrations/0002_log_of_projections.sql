ALTER TABLE projections ADD COLUMN log uuid;
